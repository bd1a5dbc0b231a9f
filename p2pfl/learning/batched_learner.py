"""All nodes of a simulation train in one call: their models are the rows of one tensor [n, P].

Each node takes the mini-batches and step sizes that its own ``TorchLearner`` would take, so that both give
the same models up to rounding.  Nodes are sorted by their number of steps and cut into chunks whose size
depends on the module and on ``chunk_bytes``, never on the memory that happens to be free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from p2pfl.learning import flat
from p2pfl.learning.batched_gradient import PROBE_ROWS, BatchedGradient, Minibatches
from p2pfl.learning.batched_optimizer import Slots, Steps, batched, empty_slots
from p2pfl.learning.learner import Evaluation, LearnerSetup, TrainingState
from p2pfl.learning.options import BATCHES_PURPOSE, linear_decay
from p2pfl.learning.swarm_learner import Rows, SwarmData, Training, TrainRows
from p2pfl.learning.torch_learner import EVALUATION_ROWS, LocalUpdate
from p2pfl.model import Model

CHUNK_BYTES = 1 << 26  # of models, gradients and activations that are worked on at a time
STEPS_TAKEN = "steps"


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """n models that train together: values X [n, P], what the optimiser keeps, steps taken so far [n]."""

    nodes: NDArray[np.int64]
    ages: NDArray[np.int64]
    X: Tensor
    slots: Slots
    taken: Tensor
    offsets: Tensor | None = None


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
        self._initial = flat.flatten(module)
        self._optimizer = batched(update.optimizer)
        self._gradient = BatchedGradient(module, update.loss)
        self._dtype = torch.float64 if is_double else torch.float32
        self._device = torch.device(setup.device)
        self._update, self._setup = update, setup
        self._rows = data.rows
        self._probe(data)
        self._module = module.to(self._device, self._dtype)
        self._train = self._placed(data.pool.inputs), self._placed(data.pool.labels)
        self._test = self._placed(data.test.inputs), self._placed(data.test.labels)
        self._chunk_bytes = chunk_bytes
        self._activations = _activations(module, self._train[0][:1])
        self._sizes = cache(update.batches.sizes)

    def initial(self) -> Model:
        """The module's values when the learner was made."""
        return Model(self._initial.copy())

    def train(self, trainings: Sequence[Training]) -> list[tuple[Model, TrainingState]]:
        """All these local updates; a node's state holds rows [P] of what its optimiser keeps."""
        results: list[tuple[Model, TrainingState] | None] = [None] * len(trainings)
        for places in self._chunks(np.array([one.node for one in trainings])):
            chosen = [trainings[place] for place in places]
            chunk = self._chunk_of(chosen)
            self._update_chunk(chunk)
            params, kept = chunk.X.cpu().float().numpy(), _states(chunk)
            for i, (place, one) in enumerate(zip(places, chosen, strict=True)):
                model = Model(params[i].copy(), one.model.age + 1, one.model.weight)
                results[place] = model, {name: rows[i].copy() for name, rows in kept.items()}
        return [one for one in results if one is not None]

    def rows_trainer(self) -> TrainRows:
        """Training of all nodes at once on arrays."""
        train = self.tensor_trainer()

        def train_rows(X: Rows, age: int) -> Rows:
            trained: Rows = train(torch.as_tensor(X), age).numpy()
            return trained

        return train_rows

    def tensor_trainer(self) -> "TensorTrainer":
        """Training of all nodes at once on tensors, of the learner's device and type or converted to them."""
        return TensorTrainer(self)

    def evaluate(self, nodes: Sequence[int], models: Sequence[Model]) -> list[Evaluation]:  # noqa: ARG002
        """Confusion counts and summed loss of each model; all nodes have the same test samples."""
        if not models:
            return []
        size = self._evaluated_at_a_time()
        found: list[Evaluation] = []
        for first in range(0, len(models), size):
            X = torch.from_numpy(np.stack([model.params for model in models[first : first + size]]))
            found += self._evaluate(X.to(self._device, self._dtype))
        return found

    def evaluate_rows(self, X: Tensor) -> list[Evaluation]:
        """The same of the models X [n, P]."""
        size = self._evaluated_at_a_time()
        parts = (X[first : first + size].to(self._device, self._dtype) for first in range(0, len(X), size))
        return [one for part in parts for one in self._evaluate(part)]

    def chunks(self) -> list[NDArray[np.int64]]:
        """The numbers of all nodes, chunk by chunk."""
        return self._chunks(np.arange(len(self._rows)))

    def fresh(self, X: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """What the optimisers of the models X [n, P] keep before their first step, and 0 steps taken."""
        return empty_slots(self._optimizer, X), torch.zeros(len(X), dtype=torch.int64, device=X.device)

    def placed(self, X: Tensor) -> Tensor:
        """X on the learner's device, in its type."""
        return X.to(self._device, self._dtype)

    def update_chunk(self, chunk: Chunk) -> None:
        """The local update of a chunk, in place."""
        self._update_chunk(chunk)

    def _chunks(self, nodes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Places in ``nodes``, those with the most steps first."""
        if not len(nodes):
            return []
        steps = np.array([len(self._sizes(len(self._rows[node]))) for node in nodes])
        order = np.argsort(-steps, kind="stable")
        widths = self._gradient.parameters * (3 + len(self._optimizer.slots))
        per_node = 4 * (widths + 3 * self._update.batches.size * self._activations)
        size = max(1, self._chunk_bytes // per_node)
        return [order[first : first + size] for first in range(0, len(order), size)]

    def _chunk_of(self, trainings: Sequence[Training]) -> Chunk:
        X = self.placed(torch.from_numpy(np.stack([one.model.params for one in trainings])))
        slots, taken = self.fresh(X)
        for i, one in enumerate(trainings):
            for name in slots:
                if name in one.state:
                    slots[name][i] = self.placed(torch.from_numpy(one.state[name]))
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
                offsets[i] = self.placed(torch.from_numpy(one.gradient_offset))
        return offsets

    def _update_chunk(self, chunk: Chunk) -> None:
        self._module.train()
        decays = [linear_decay(int(age), self._setup.rounds) for age in chunk.ages]
        sizes = [self._sizes(len(self._rows[node])) for node in chunk.nodes]
        step_size = torch.tensor(decays, dtype=self._dtype, device=self._device) * self._update.step
        index = self._index(chunk, sizes).to(self._device)
        counts = torch.tensor(_rectangle(sizes), device=self._device)
        steps = [len(one) for one in sizes]
        for step in range(steps[0]):
            active = sum(count > step for count in steps)  # a prefix: sorted by steps
            width = int(counts[:active, step].max())
            chosen = index[:active, step, :width]
            batch = Minibatches(self._train[0][chosen], self._train[1][chosen], counts[:active, step])
            chunk.taken[:active] += 1
            self._step(chunk, batch, Steps(step_size[:active], chunk.taken[:active]))

    def _step(self, chunk: Chunk, batch: Minibatches, steps: Steps) -> None:
        active = len(batch.counts)
        values = self._gradient.views(chunk.X[:active])
        kept = {name: self._gradient.views(rows[:active]) for name, rows in chunk.slots.items()}
        found = self._gradient.gradients(values, batch)
        offsets = None if chunk.offsets is None else self._gradient.views(chunk.offsets[:active])
        for name, gradient in found.items():
            slots = {slot: tensors[name] for slot, tensors in kept.items()}
            whole = gradient if offsets is None else gradient + offsets[name]
            self._optimizer.step(values[name], whole, kept=slots, steps=steps)

    def _index(self, chunk: Chunk, sizes: Sequence[Sequence[int]]) -> Tensor:
        """Rows of the pool [n, steps, B], padded with row 0."""
        batch = self._update.batches
        index = np.zeros((len(sizes), len(sizes[0]), batch.size), np.int64)
        places = cache(lambda rows: _places(self._sizes(rows), batch.size))
        for i, (node, age) in enumerate(zip(chunk.nodes.tolist(), chunk.ages.tolist(), strict=True)):
            rows = self._rows[node]
            order = batch.order(
                np.random.default_rng([self._setup.seed, node, age, BATCHES_PURPOSE]), len(rows)
            )
            place = places(len(rows))
            index[i].reshape(-1)[place] = rows[order[: len(place)]]
        return torch.from_numpy(index)

    def _evaluate(self, X: Tensor) -> list[Evaluation]:
        self._module.eval()
        values = self._gradient.views(X)
        inputs, labels = self._test
        found: list[list[Evaluation]] = []
        for first in range(0, max(1, len(labels)), EVALUATION_ROWS):
            block = inputs[first : first + EVALUATION_ROWS], labels[first : first + EVALUATION_ROWS]
            found.append(self._evaluate_block(self._gradient.outputs(values, block[0]), block[1]))
        return [sum(parts[1:], start=parts[0]) for parts in zip(*found, strict=True)]

    def _evaluate_block(self, outputs: Tensor, labels: Tensor) -> list[Evaluation]:
        n, rows, classes = outputs.shape
        cells = classes * classes
        pairs = (
            labels * classes
            + outputs.argmax(dim=2)
            + cells * torch.arange(n, device=outputs.device).unsqueeze(1)
        )
        counts = torch.bincount(pairs.reshape(-1), minlength=n * cells).cpu().numpy()
        losses = self._losses(outputs, labels) if rows else [0.0] * n
        confusions = counts.astype(np.int64).reshape(n, classes, classes)
        return [Evaluation(one, loss) for one, loss in zip(confusions, losses, strict=True)]

    def _losses(self, outputs: Tensor, labels: Tensor) -> list[float]:
        """Of each model, summed over the rows."""
        if self._gradient.is_padded:
            flat_outputs = outputs.reshape(-1, outputs.shape[2])
            each = functional.cross_entropy(flat_outputs, labels.repeat(len(outputs)), reduction="none")
            return [float(loss) for loss in each.view(len(outputs), -1).sum(dim=1)]
        return [float(self._update.loss(one, labels)) * len(labels) for one in outputs]

    def _evaluated_at_a_time(self) -> int:
        rows = min(EVALUATION_ROWS, max(1, len(self._test[1])))
        return max(1, self._chunk_bytes // (4 * (self._gradient.parameters + rows * self._activations)))

    def _probe(self, data: SwarmData) -> None:
        chosen = np.resize(data.rows[0], PROBE_ROWS)
        inputs = torch.from_numpy(data.pool.inputs[chosen])
        labels = torch.from_numpy(data.pool.labels[chosen])
        X = torch.from_numpy(np.stack([self._initial, self._initial * np.float32(0.9)]))
        self._gradient.probe(X, inputs, labels)

    def _placed(self, array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
        tensor = torch.tensor(array, device=self._device)
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor


class TensorTrainer:
    """Local updates of all nodes, age after age; keeps what the optimisers keep."""

    def __init__(self, learner: BatchedLearner) -> None:
        self._learner = learner
        self._kept: tuple[dict[str, Tensor], Tensor] | None = None

    def __call__(self, X: Tensor, age: int) -> Tensor:
        """X [N, P] after everybody's local update, a new tensor."""
        X = self._learner.placed(X)
        self._kept = self._kept or self._learner.fresh(X)
        slots, taken = self._kept
        trained = torch.empty_like(X)
        for nodes in self._learner.chunks():
            rows = torch.from_numpy(nodes).to(X.device)
            ages = np.full(len(nodes), age)
            own = {name: kept[rows] for name, kept in slots.items()}
            chunk = Chunk(nodes, ages, X[rows], own, taken[rows])
            self._learner.update_chunk(chunk)
            trained[rows] = chunk.X
            taken[rows] = chunk.taken
            for name, kept in chunk.slots.items():
                slots[name][rows] = kept
        return trained


def _states(chunk: Chunk) -> Mapping[str, NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64]]:
    if not chunk.slots:
        return {}
    kept = {name: rows.cpu().numpy() for name, rows in chunk.slots.items()}
    return {**kept, STEPS_TAKEN: chunk.taken.cpu().numpy()[:, np.newaxis]}


def _rectangle(sizes: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Sizes of the mini-batches [n, steps]; 0 where a node takes no step."""
    table = np.zeros((len(sizes), len(sizes[0])), np.int64)
    for i, one in enumerate(sizes):
        table[i, : len(one)] = one
    return table


def _places(sizes: Sequence[int], width: int) -> NDArray[np.int64]:
    """Where the rows of mini-batches of these sizes stand in a table [steps, width]."""
    return np.concatenate([np.arange(size) + step * width for step, size in enumerate(sizes)])


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
