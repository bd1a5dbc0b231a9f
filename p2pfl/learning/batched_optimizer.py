"""Optimisers that step many models at once; what they keep between local updates is [n, P] a piece.

Nodes may have done different numbers of steps, so that counts and step sizes are tensors [n].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from p2pfl.learning.optimizer import Rule
from p2pfl.learning.swarm_learner import NotBatchableError

BETAS = (0.9, 0.999)  # torch's defaults
EPSILON = 1e-8
ADAMW_DECAY = 0.01

Slots: TypeAlias = Mapping[str, Tensor]  # of one tensor of the module: what is kept of it, [n, ...] each


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Which step each of n models takes: its size, and how many it has taken, this one included; [n] each."""

    size: Tensor
    number: Tensor

    def like(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Both as [n, 1, ...], to go with a tensor [n, ...]."""
        shape = (-1, *(1 for _ in value.shape[1:]))
        return self.size.view(shape), self.number.view(shape)


class BatchedOptimizer(Protocol):
    """Steps n models; ``slots`` names what it keeps."""

    @property
    def slots(self) -> Sequence[str]:
        """Names of what is kept of each tensor."""
        ...

    def step(self, value: Tensor, gradient: Tensor, *, kept: Slots, steps: Steps) -> None:
        """Change ``value`` and ``kept``, all [n, ...], in place."""
        ...


@dataclass(frozen=True, slots=True)
class BatchedSGD:
    """``v = momentum v + grad; p = p - step v``; ``weight_decay p`` is part of ``grad``."""

    momentum: float = 0.0
    weight_decay: float = 0.0
    slots: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", ("velocity",) if self.momentum else ())

    def step(self, value: Tensor, gradient: Tensor, *, kept: Slots, steps: Steps) -> None:
        """Change ``value``, and the velocity, in place."""
        if self.weight_decay:
            gradient = gradient.add(value, alpha=self.weight_decay)
        if self.momentum:
            gradient = kept["velocity"].mul_(self.momentum).add_(gradient)
        size, _ = steps.like(value)
        value.sub_(gradient * size)


@dataclass(frozen=True, slots=True)
class BatchedAdam:
    """Adam, or AdamW where ``is_decoupled``; as torch computes them with its default betas.

    Reference: Kingma, Ba, ICLR 2015; Loshchilov, Hutter, ICLR 2019.
    """

    weight_decay: float = 0.0
    is_decoupled: bool = False
    slots: Sequence[str] = ("first", "second")

    def step(self, value: Tensor, gradient: Tensor, *, kept: Slots, steps: Steps) -> None:
        """Change ``value``, and both moments, in place."""
        size, number = steps.like(value)
        if self.is_decoupled:
            value.mul_(1 - size * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient.add(value, alpha=self.weight_decay)
        one, two = BETAS
        first = kept["first"].lerp_(gradient, 1 - one)
        second = kept["second"].mul_(two).addcmul_(gradient, gradient, value=1 - two)
        # In float64: 1 - 0.999 ** n has few digits left in float32.
        exponent = number.double()
        scale = (1 - two**exponent).sqrt().to(value.dtype)
        rate = (size.double() / (1 - one**exponent)).to(value.dtype)
        value.sub_(rate * first / (second.sqrt() / scale + EPSILON))


def batched(optimizer: object) -> BatchedOptimizer:
    """The optimiser for many nodes that does what this one does for one; raises NotBatchableError."""
    if not isinstance(optimizer, Rule):
        raise NotBatchableError(f"its optimiser is not one of sgd, adam, adamw, but {optimizer!r}")
    if optimizer.name == "sgd":
        return BatchedSGD(optimizer.momentum, optimizer.weight_decay or 0.0)
    decay = optimizer.weight_decay
    if optimizer.name == "adamw":
        return BatchedAdam(ADAMW_DECAY if decay is None else decay, is_decoupled=True)
    return BatchedAdam(decay or 0.0)


def empty_slots(optimizer: BatchedOptimizer, like: Tensor) -> dict[str, Tensor]:
    """What an optimiser keeps at the start, for the models X [n, P]."""
    return {name: torch.zeros_like(like) for name in optimizer.slots}
