"""A task for daemons under test: as many parameters and as long a training as one likes."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.learning.learner import Evaluation, LearnerSetup, Schema, TrainingState
from p2pfl.model import Model


@dataclass(frozen=True)
class StrangeLearner:
    """Adds one; a training cannot be interrupted."""

    parameters: int
    train_s: float

    @property
    def schema(self) -> Schema:
        return Schema((("x", (self.parameters,), "float32"),))

    def initial(self) -> Model:
        return Model(np.zeros(self.parameters, np.float32))

    def train(
        self, model: Model, state: TrainingState, *, gradient_offset: NDArray[np.float32] | None = None
    ) -> tuple[Model, TrainingState]:
        threading.Event().wait(self.train_s)
        return Model(model.params + 1, model.age + 1, model.weight), {}

    def evaluate(self, model: Model) -> Evaluation:
        return Evaluation(np.eye(2, dtype=np.int64), 0.0)


@dataclass(frozen=True)
class StrangeTask:
    """What a config names: ``tests.node_daemon.strange_task:strange``."""

    parameters: int
    train_s: float
    name: str = "strange"

    def dataset(self) -> Dataset:
        rows = Samples(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]))
        return Dataset(rows, rows, 2)

    def learner(self, train: Samples, test: Samples, setup: LearnerSetup) -> StrangeLearner:
        return StrangeLearner(self.parameters, self.train_s)


def strange(*, parameters: int = 10, train_s: float = 0.05) -> StrangeTask:
    return StrangeTask(parameters, train_s)
