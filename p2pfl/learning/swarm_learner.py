"""The learners of many nodes at once, as a simulation asks them: all trainings that are due in one call.

Each answer is what the node's own ``Learner`` would give; only the way there differs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Samples
from p2pfl.learning.learner import Evaluation, Learner, LearnerSetup, TrainingState
from p2pfl.model import Model

Rows: TypeAlias = NDArray[np.float32] | NDArray[np.float64]  # X [N, P]
# (X, age) -> X after everybody's local update, a new array; remembers the optimisers' states between calls
TrainRows: TypeAlias = Callable[[Rows, int], Rows]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """One local update that a node has asked for; ``node`` is its number."""

    node: int
    model: Model
    state: TrainingState = field(default_factory=dict)
    gradient_offset: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SwarmData:
    """Who trains on what: node i has the rows ``rows[i]`` of ``pool``; all are tested on ``test``."""

    pool: Samples
    rows: tuple[NDArray[np.int64], ...]
    test: Samples

    def held(self, node: int) -> Samples:
        """What a node has."""
        return self.pool.take(self.rows[node])


class SwarmLearner(Protocol):
    """Trains and evaluates the models of all nodes of a simulation; mutates nothing it is given."""

    def initial(self) -> Model:
        """The common starting point."""
        ...

    def train(self, trainings: Sequence[Training]) -> list[tuple[Model, TrainingState]]:
        """All these local updates, at most one per node; in their order."""
        ...

    def rows_trainer(self) -> TrainRows:
        """Training of all nodes at once, row i of X being node i's model."""
        ...

    def evaluate(self, nodes: Sequence[int], models: Sequence[Model]) -> list[Evaluation]:
        """Each model on its node's test samples."""
        ...


@runtime_checkable
class BatchableTask(Protocol):
    """A task that can train all nodes in one call."""

    def batched(self, data: SwarmData, setup: LearnerSetup, *, is_double: bool = False) -> SwarmLearner:
        """The learners of all nodes as one; raises NotBatchableError, saying why."""
        ...


class NotBatchableError(Exception):
    """The training of this task has to be done node by node; the text says why."""


class LoopedLearner:
    """Every node's own learner, one after the other."""

    def __init__(self, learners: Sequence[Learner]) -> None:
        self._learners = learners

    def initial(self) -> Model:
        """The common starting point."""
        return self._learners[0].initial()

    def train(self, trainings: Sequence[Training]) -> list[tuple[Model, TrainingState]]:
        """All these local updates, one after the other."""
        return [
            self._learners[one.node].train(one.model, one.state, gradient_offset=one.gradient_offset)
            for one in trainings
        ]

    def rows_trainer(self) -> TrainRows:
        """Row after row."""
        states: list[TrainingState] = [{} for _ in self._learners]

        def train(X: Rows, age: int) -> Rows:
            trained = np.empty_like(X)
            for i, learner in enumerate(self._learners):
                model, states[i] = learner.train(Model(X[i].astype(np.float32, copy=False), age), states[i])
                trained[i] = model.params
            return trained

        return train

    def evaluate(self, nodes: Sequence[int], models: Sequence[Model]) -> list[Evaluation]:
        """Model after model."""
        return [self._learners[node].evaluate(model) for node, model in zip(nodes, models, strict=True)]
