"""Optimisers, and their state as arrays: momentum goes on in the next local update, and after a restart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from p2pfl.errors import ConfigError
from p2pfl.learning.flat import to_array
from p2pfl.learning.learner import TrainingState
from p2pfl.model import Array

STATE_PREFIX = "optimizer/"
VELOCITY = "momentum_buffer"  # as torch.optim.SGD names it


class Optimizer(Protocol):
    """What a learner needs of an optimiser; every ``torch.optim.Optimizer`` has it."""

    @property
    def state(self) -> dict[Tensor, dict[str, Tensor]]:
        """What is kept for each parameter, by name."""
        ...

    def step(self) -> object:
        """Change each parameter by its ``grad``."""
        ...


# (parameters, step size of this local update) -> a fresh optimiser
OptimizerFactory: TypeAlias = Callable[[list[Tensor], float], Optimizer]


class PlainSGD:
    """``v = momentum v + grad; p = p - step v``, as ``torch.optim.SGD`` computes it.

    ``weight_decay p`` is part of ``grad``.  Constructing any ``torch.optim`` class imports ``torch._dynamo``:
    1.5 s and 100 MB in every daemon.
    """

    def __init__(
        self, parameters: list[Tensor], step: float, *, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        self._parameters = parameters
        self._step = step
        self._momentum = momentum
        self._weight_decay = weight_decay

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.add_(self._direction(parameter, parameter.grad), alpha=-self._step)

    def _direction(self, parameter: Tensor, grad: Tensor) -> Tensor:
        if self._weight_decay:
            grad = grad.add(parameter, alpha=self._weight_decay)
        if not self._momentum:
            return grad
        if parameter not in self.state:
            self.state[parameter] = {VELOCITY: grad.clone()}
            return grad
        return self.state[parameter][VELOCITY].mul_(self._momentum).add_(grad)


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimiser by name; as an ``OptimizerFactory`` it makes that optimiser for one node.

    ``weight_decay`` None is the optimiser's own default: 0.01 for ``adamw``, else 0.
    """

    name: str
    momentum: float = 0.0  # of sgd alone
    weight_decay: float | None = None

    def __call__(self, parameters: list[Tensor], step: float) -> Optimizer:
        """A fresh optimiser."""
        return OPTIMIZERS[self.name](parameters, step, **self.options)

    @property
    def options(self) -> Mapping[str, float]:
        """Keyword arguments of the optimiser that differ from its defaults."""
        options = {"momentum": self.momentum} if self.momentum else {}
        return options if self.weight_decay is None else {**options, "weight_decay": self.weight_decay}


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = MappingProxyType(
    {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": PlainSGD}
)


def save_state(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> TrainingState:
    """Copies of what the optimiser keeps for each parameter; a scalar becomes an array of one.

    Raises ConfigError for an optimiser that keeps anything but tensors and numbers.
    """
    saved: dict[str, Array] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                saved[f"{STATE_PREFIX}{name}/{key}"] = _saved(optimizer, key, value)
    return saved


def restore_state(optimizer: Optimizer, parameters: Mapping[str, Tensor], saved: TrainingState) -> None:
    """Give a fresh optimiser copies of what an earlier one kept; what belongs to no parameter is left out."""
    for path, array in saved.items():
        name, _, key = path.removeprefix(STATE_PREFIX).rpartition("/")
        if path.startswith(STATE_PREFIX) and name in parameters:
            optimizer.state.setdefault(parameters[name], {})[key] = _restored(parameters[name], array)


def _saved(optimizer: Optimizer, key: str, value: object) -> Array:
    if isinstance(value, int | float):
        value = torch.tensor(value)
    if not isinstance(value, Tensor):
        raise ConfigError(
            f"optimiser {type(optimizer).__name__} keeps {key!r} as {type(value).__name__}, "
            "which cannot be carried from one local update to the next",
            fix=f"use one of: {', '.join(OPTIMIZERS)}",
        )
    return to_array(value, copy=True)


def _restored(parameter: Tensor, array: Array) -> Tensor:
    if array.size == 1 and parameter.numel() != 1:
        return torch.tensor(array).reshape(())  # a count of steps: torch wants it on the CPU
    dtype = parameter.dtype if array.dtype.kind == "f" else None
    restored = torch.tensor(array, device=parameter.device, dtype=dtype)
    return restored.reshape(parameter.shape) if array.size == 1 else restored
