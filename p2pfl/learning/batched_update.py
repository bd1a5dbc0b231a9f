"""The local update of a chunk of nodes: mini-batch after mini-batch, all models of the chunk at once.

Each node takes the mini-batches and step sizes that its own ``TorchLearner`` would take.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from p2pfl.learning.addressed import generators
from p2pfl.learning.batched_gradient import BatchedGradient, Minibatches
from p2pfl.learning.batched_optimizer import BatchedOptimizer, Slots, Steps, empty_slots
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.options import BATCHES_PURPOSE, linear_decay
from p2pfl.learning.torch_learner import LocalUpdate

STEPS_TAKEN = "steps"


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """n models that train together: values X [n, P], what the optimiser keeps, steps taken so far [n].

    Nodes with more steps stand before those with fewer.
    """

    nodes: NDArray[np.int64]
    ages: NDArray[np.int64]
    X: Tensor
    slots: Slots
    taken: Tensor
    offsets: Tensor | None = None

    @property
    def kept(self) -> Mapping[str, NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64]]:
        """What each node keeps between local updates, [n, ...] a piece."""
        if not self.slots:
            return {}
        kept = {name: rows.cpu().numpy() for name, rows in self.slots.items()}
        return {**kept, STEPS_TAKEN: self.taken.cpu().numpy()[:, np.newaxis]}


class BatchedUpdate:
    """Carries out local updates; ``rows[i]`` are node i's places in the pool of inputs and labels.

    What the loss does not reach (``unreached``) stays as it is, unless there is an offset to its gradient.
    """

    def __init__(
        self,
        rows: Sequence[NDArray[np.int64]],
        pool: tuple[Tensor, Tensor],
        *,
        update: LocalUpdate,
        optimizer: BatchedOptimizer,
        setup: LearnerSetup,
        unreached: frozenset[str] = frozenset(),
    ) -> None:
        self._rows = rows
        self._unreached = unreached
        self._inputs, self._labels = pool
        self._update = update
        self._optimizer = optimizer
        self._setup = setup
        self._sizes = cache(update.batches.sizes)
        self._count = cache(lambda rows: sum(self._sizes(rows)))
        self._places = cache(lambda rows: _places(self._sizes(rows), update.batches.size))

    def steps(self, node: int) -> int:
        """How many steps a node takes."""
        return len(self._sizes(len(self._rows[node])))

    def fresh(self, X: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """What the optimisers of the models X [n, P] keep before their first step, and 0 steps taken."""
        return empty_slots(self._optimizer, X), torch.zeros(len(X), dtype=torch.int64, device=X.device)

    def run(self, gradient: BatchedGradient, chunk: Chunk) -> None:
        """Train the models of the chunk, in place."""
        decays = [linear_decay(int(age), self._setup.rounds) for age in chunk.ages]
        step_size = torch.tensor(decays, dtype=chunk.X.dtype, device=chunk.X.device) * self._update.step
        sizes = [self._sizes(len(self._rows[node])) for node in chunk.nodes]
        index = self._index(chunk, len(sizes[0])).to(chunk.X.device)
        table = _table(sizes)
        counts = torch.from_numpy(table).to(chunk.X.device)
        for step, active in enumerate((table > 0).sum(axis=0).tolist()):
            chosen = index[:active, step, : int(table[:active, step].max())]
            batch = Minibatches(
                _taken(self._inputs, chosen), _taken(self._labels, chosen), counts[:active, step]
            )
            chunk.taken[:active] += 1
            self._step(gradient, chunk, batch=batch, steps=Steps(step_size[:active], chunk.taken[:active]))

    def _step(self, gradient: BatchedGradient, chunk: Chunk, *, batch: Minibatches, steps: Steps) -> None:
        active = len(batch.counts)
        values = gradient.views(chunk.X[:active])
        kept = {name: gradient.views(rows[:active]) for name, rows in chunk.slots.items()}
        offsets = None if chunk.offsets is None else gradient.views(chunk.offsets[:active])
        for name, found in gradient.gradients(values, batch).items():
            if name in self._unreached and offsets is None:
                continue  # its gradient is 0, but there is none: no decay either
            slots = {slot: tensors[name] for slot, tensors in kept.items()}
            whole = found if offsets is None else found + offsets[name]
            self._optimizer.step(values[name], whole, kept=slots, steps=steps)

    def _index(self, chunk: Chunk, steps: int) -> Tensor:
        """Places in the pool [n, steps, B]; where a mini-batch is smaller than B stands 0."""
        batches, seed = self._update.batches, self._setup.seed
        index = np.zeros((len(chunk.nodes), steps * batches.size), np.int64)
        nodes, ages = chunk.nodes.tolist(), chunk.ages.tolist()
        draws = generators(seed, nodes, ages, purpose=BATCHES_PURPOSE)
        for row, node, random in zip(index, nodes, draws, strict=True):
            rows = self._rows[node]
            place = self._places(len(rows))
            row[place] = rows[batches.order(random, len(rows))[: self._count(len(rows))]]
        return torch.from_numpy(index.reshape(len(nodes), steps, batches.size))


def _taken(pool: Tensor, chosen: Tensor) -> Tensor:
    """``pool[chosen]``, in half the time."""
    return pool.index_select(0, chosen.reshape(-1)).reshape(*chosen.shape, *pool.shape[1:])


def _table(sizes: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Sizes of the mini-batches [n, steps]; 0 where a node takes no step."""
    table = np.zeros((len(sizes), len(sizes[0])), np.int64)
    for i, one in enumerate(sizes):
        table[i, : len(one)] = one
    return table


def _places(sizes: Sequence[int], width: int) -> NDArray[np.int64] | slice:
    """Where the rows of mini-batches of these sizes stand in a table [steps, width]."""
    if all(size == width for size in sizes[:-1]):
        return slice(sum(sizes))
    return np.concatenate([np.arange(size) + step * width for step, size in enumerate(sizes)])
