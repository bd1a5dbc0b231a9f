"""All nodes of a simulation train in one call: their models are the rows of one tensor [n, P].

Both ways give the same models up to rounding, this one and each node's own ``TorchLearner``.  Nodes are
sorted by their number of steps and cut into chunks whose size depends on the module and on ``chunk_bytes``,
never on the memory that happens to be free; threads share the chunks.
"""

from collections.abc import Sequence
from copy import deepcopy
from math import ceil
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from p2pfl.learning import flat
from p2pfl.learning.batched_evaluation import evaluate, evaluated_rows
from p2pfl.learning.batched_gradient import PROBE_ROWS, BatchedGradient
from p2pfl.learning.batched_optimizer import batched
from p2pfl.learning.batched_update import STEPS_TAKEN, BatchedUpdate, Chunk
from p2pfl.learning.learner import Evaluation, LearnerSetup, TrainingState
from p2pfl.learning.swarm_learner import Rows, SwarmData, Training, TrainRows
from p2pfl.learning.torch_learner import LocalUpdate
from p2pfl.learning.workbenches import Workbenches
from p2pfl.model import Array, Model

CHUNK_BYTES = 1 << 27  # of models, gradients and activations that a thread works on at a time

Kept: TypeAlias = tuple[dict[str, Tensor], Tensor]  # by the optimisers of N nodes: [N, P] a piece; steps [N]


class BatchedLearner:
    """The learners of all nodes as one.

    ``setup.number`` is not used: a node's number is its place in ``data.rows``.  Where ``is_double`` the
    arithmetic is float64, and ``rows_trainer`` keeps X so; models that travel are float32 in any case.
    Raises NotBatchableError for a module or an optimiser whose batched arithmetic would not be the same.
    """

    def __init__(
        self,
        module: nn.Module,
        data: SwarmData,
        *,
        update: LocalUpdate,
        setup: LearnerSetup,
        is_double: bool = False,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        optimizer = batched(update.optimizer)
        self._initial = flat.flatten(module)
        gradient = BatchedGradient(deepcopy(module), update.loss)
        unreached = self._probe(gradient, data)
        self._dtype = torch.float64 if is_double else torch.float32
        self._device = torch.device(setup.device)
        self._test = self.placed(data.test.inputs), self.placed(data.test.labels)
        pool = self.placed(data.pool.inputs), self.placed(data.pool.labels)
        self._update = BatchedUpdate(
            data.rows, pool, update=update, optimizer=optimizer, setup=setup, unreached=unreached
        )
        self._loss = update.loss
        activations = _activations(module, torch.from_numpy(data.pool.inputs[:1]))
        widths = gradient.parameters * (3 + len(optimizer.slots)) + 3 * update.batches.size * activations
        self._chunk = max(1, chunk_bytes // (4 * widths))
        rows = evaluated_rows(self._test)
        self._evaluated = max(1, chunk_bytes // (4 * (gradient.parameters + rows * activations)))
        self._nodes = len(data.rows)
        self._workbenches = Workbenches(
            lambda: BatchedGradient(deepcopy(module), update.loss, device=self._device, dtype=self._dtype),
            device=self._device,
            is_deterministic=setup.is_deterministic,
        )

    def initial(self) -> Model:
        """The module's values when the learner was made."""
        return Model(self._initial.copy())

    def train(self, trainings: Sequence[Training]) -> list[tuple[Model, TrainingState]]:
        """All these local updates; a node's state holds rows [P] of what its optimiser keeps."""
        chunks = self._chunks(np.array([one.node for one in trainings], np.int64))

        def train(gradient: BatchedGradient, places: NDArray[np.int64]) -> list[tuple[Model, TrainingState]]:
            return self._train(gradient, [trainings[place] for place in places])

        answers = [answer for found in self._workbenches.each(train, chunks) for answer in found]
        places = np.concatenate([np.zeros(0, np.int64), *chunks])
        return [answers[place] for place in np.argsort(places)]

    def rows_trainer(self) -> TrainRows:
        """Training of all nodes at once on arrays."""
        train = self.tensor_trainer()

        def train_rows(X: Rows, age: int) -> Rows:
            trained: Rows = train(torch.as_tensor(X), age).cpu().numpy()
            return trained

        return train_rows

    def tensor_trainer(self) -> "TensorTrainer":
        """Training of all nodes at once on tensors, of the learner's device and type or converted to them."""
        return TensorTrainer(self)

    def evaluate(self, nodes: Sequence[int], models: Sequence[Model]) -> list[Evaluation]:  # noqa: ARG002
        """Confusion counts and summed loss of each model; all nodes have the same test samples."""
        size = self._evaluated
        parts = [models[first : first + size] for first in range(0, len(models), size)]

        def some(gradient: BatchedGradient, part: Sequence[Model]) -> list[Evaluation]:
            X = self.placed(np.stack([model.params for model in part]))
            return evaluate(gradient, X, test=self._test, loss=self._loss)

        return [one for found in self._workbenches.each(some, parts) for one in found]

    def update_all(self, X: Tensor, age: int, kept: Kept | None) -> tuple[Tensor, Kept]:
        """The local update of all nodes at one age: a new X; what the optimisers keep changes in place."""
        X = X.to(self._device, self._dtype)
        slots, taken = kept or self._update.fresh(X)
        trained = torch.empty_like(X)

        def update(gradient: BatchedGradient, nodes: NDArray[np.int64]) -> None:
            rows = torch.from_numpy(nodes).to(X.device)
            own = {name: one[rows] for name, one in slots.items()}
            chunk = Chunk(nodes, np.full(len(nodes), age), X[rows], own, taken[rows])
            self._update.run(gradient, chunk)
            trained[rows], taken[rows] = chunk.X, chunk.taken
            for name, one in chunk.slots.items():
                slots[name][rows] = one

        self._workbenches.each(update, self._chunks(np.arange(self._nodes)))
        return trained, (slots, taken)

    def _chunks(self, nodes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Places in ``nodes``, those with the most steps first."""
        order = np.argsort([-self._update.steps(node) for node in nodes], kind="stable")
        if len(order) <= self._chunk:
            return [order] if len(order) else []
        parts = 2 * ceil(len(order) / self._chunk / 2)  # an even number: two threads end together
        return np.array_split(order, min(parts, len(order)))

    def _train(
        self, gradient: BatchedGradient, trainings: Sequence[Training]
    ) -> list[tuple[Model, TrainingState]]:
        chunk = self._chunk_of(trainings)
        self._update.run(gradient, chunk)
        params, kept = chunk.X.cpu().float().numpy(), chunk.kept
        return [
            (
                Model(params[i].copy(), one.model.age + 1, one.model.weight),
                {name: rows[i].copy() for name, rows in kept.items()},
            )
            for i, one in enumerate(trainings)
        ]

    def _chunk_of(self, trainings: Sequence[Training]) -> Chunk:
        X = self.placed(np.stack([one.model.params for one in trainings]))
        slots, taken = self._update.fresh(X)
        for i, one in enumerate(trainings):
            for name in slots.keys() & one.state.keys():
                slots[name][i] = self.placed(one.state[name])
            taken[i] = int(one.state.get(STEPS_TAKEN, np.zeros(1))[0])
        nodes = np.array([one.node for one in trainings])
        ages = np.array([one.model.age for one in trainings])
        return Chunk(nodes, ages, X, slots, taken, self._offsets(trainings, X))

    def _offsets(self, trainings: Sequence[Training], X: Tensor) -> Tensor | None:
        if all(one.gradient_offset is None for one in trainings):
            return None
        offsets = torch.zeros_like(X)
        for i, one in enumerate(trainings):
            if one.gradient_offset is not None:
                offsets[i] = self.placed(one.gradient_offset)
        return offsets

    def _probe(self, gradient: BatchedGradient, data: SwarmData) -> frozenset[str]:
        """Try it on rows from all over the pool: those of one node may be alike, which hides differences."""
        chosen = np.linspace(0, len(data.pool) - 1, PROBE_ROWS).astype(np.int64)
        inputs = torch.from_numpy(data.pool.inputs[chosen])
        labels = torch.from_numpy(data.pool.labels[chosen])
        X = torch.from_numpy(np.stack([self._initial, self._initial * np.float32(0.9)]))
        return gradient.probe(X, inputs, labels)

    def placed(self, array: Array) -> Tensor:
        """A copy on the learner's device; floats in its type."""
        tensor = torch.tensor(array, device=self._device)
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor


class TensorTrainer:
    """Local updates of all nodes, age after age; keeps what the optimisers keep."""

    def __init__(self, learner: BatchedLearner) -> None:
        self._learner = learner
        self._kept: Kept | None = None

    def __call__(self, X: Tensor, age: int) -> Tensor:
        """X [N, P] after everybody's local update, a new tensor."""
        trained, self._kept = self._learner.update_all(X, age, self._kept)
        return trained


def _activations(module: nn.Module, row: Tensor) -> int:
    """Numbers that the layers give for one row: what a gradient has to remember of it."""
    counts: list[int] = [row.numel()]

    def count(_: nn.Module, __: object, outputs: object) -> None:
        if isinstance(outputs, Tensor):
            counts.append(outputs.numel())

    hooks = [part.register_forward_hook(count) for part in module.modules()]
    with torch.no_grad():
        module(row)
    for hook in hooks:
        hook.remove()
    return sum(counts)
