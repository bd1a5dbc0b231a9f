"""Softmax regression in numpy: a daemon without torch, which starts in well under a second.

    outputs = inputs @ W + b,   loss = mean(-log softmax(outputs)[label])

The flat vector is W [D, C] row by row, then b [C].
"""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from p2pfl.data import digits as digits_data
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.batches import Batches
from p2pfl.learning.learner import Evaluation, LearnerSetup, Schema, TrainingState
from p2pfl.learning.options import BATCHES_PURPOSE, INITIAL_PURPOSE, linear_decay, require_number
from p2pfl.model import Model

INITIAL_DEVIATION = 0.01

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoftmaxTask:
    """Softmax regression on any dataset; the options are those of ``Task`` as far as they apply."""

    name: str
    _: KW_ONLY
    dataset: Callable[[], Dataset]
    features: int
    classes: int
    step: float = 0.1
    local_epochs: int = 2
    local_steps: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        require_number("step", self.step)
        self._batches()

    def with_options(
        self,
        *,
        step: float | None = None,
        local_epochs: int | None = None,
        local_steps: int | None = None,
        batch_size: int | None = None,
    ) -> "SoftmaxTask":
        """The same task with other settings; None keeps what is there.  A wrong value is a ConfigError."""
        return replace(
            self,
            step=self.step if step is None else step,
            local_epochs=self.local_epochs if local_epochs is None else local_epochs,
            local_steps=self.local_steps if local_steps is None else local_steps,
            batch_size=self.batch_size if batch_size is None else batch_size,
        )

    # A config's item is called with its options, like every other registered item.
    __call__ = with_options

    def learner(self, train: Samples, test: Samples, setup: LearnerSetup) -> "NumpyLearner":
        """A learner on a part of the data; raises ConfigError when the rows do not fit the task."""
        if setup.device != "cpu":
            raise ConfigError(f"task {self.name!r} runs on cpu, not {setup.device!r}", where="node.device")
        for samples in (train, test):
            self._check(samples)
        if len(train) == 0:
            raise ConfigError(f"task {self.name!r} has no training rows at this node", where="[data]")
        return NumpyLearner(train, test, task=self, batches=self._batches(), setup=setup)

    def _batches(self) -> Batches:
        return Batches(self.batch_size, self.local_epochs, self.local_steps)

    def _check(self, samples: Samples) -> None:
        columns = math.prod(samples.inputs.shape[1:])
        labels = samples.labels
        if columns != self.features or (len(labels) and not 0 <= labels.min() <= labels.max() < self.classes):
            raise ConfigError(
                f"task {self.name!r} takes rows of {self.features} values with labels below {self.classes}; "
                f"found {columns} values, labels up to {labels.max(initial=-1)}"
            )


class NumpyLearner:
    """Mini-batch gradient descent on softmax regression; keeps nothing between two local updates."""

    def __init__(
        self, train: Samples, test: Samples, *, task: SoftmaxTask, batches: Batches, setup: LearnerSetup
    ) -> None:
        self._train = train
        self._test = test
        self._task = task
        self._batches = batches
        self._setup = setup

    @property
    def schema(self) -> Schema:
        """The weights [D, C] and the biases [C]."""
        features, classes = self._task.features, self._task.classes
        return Schema((("weight", (features, classes), "float32"), ("bias", (classes,), "float32")))

    def initial(self) -> Model:
        """Small normal values, drawn from the seed alone: the same at every node."""
        random = np.random.default_rng([self._setup.seed, 0, 0, INITIAL_PURPOSE])
        drawn = random.normal(0.0, INITIAL_DEVIATION, self.schema.parameters)
        return Model(drawn.astype(np.float32))

    def train(
        self, model: Model, state: TrainingState, *, gradient_offset: Floats | None = None
    ) -> tuple[Model, TrainingState]:
        """One local update, with the step size that is due at the model's age."""
        setup, age = self._setup, model.age
        step = np.float32(self._task.step * linear_decay(age, setup.rounds))
        random = np.random.default_rng([setup.seed, setup.number, age, BATCHES_PURPOSE])
        inputs, labels = _table(self._train), self._train.labels
        params = model.params.copy()
        # A model that is no longer finite is returned as it is: the owner judges.
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in self._batches.draw(random, len(labels)):
                gradient = _gradient(self._outputs(params, inputs[rows]), inputs[rows], labels[rows])
                if gradient_offset is not None:
                    gradient += gradient_offset
                params -= step * gradient
        return Model(params, age + 1, model.weight), dict(state)

    def evaluate(self, model: Model) -> Evaluation:
        """Confusion counts [C, C] and summed loss on the test rows."""
        classes, labels = self._task.classes, self._test.labels
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self._outputs(model.params, _table(self._test))
            losses = -_log_softmax(outputs)[np.arange(len(labels)), labels]
        pairs = labels * classes + outputs.argmax(axis=1)
        confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        return Evaluation(confusion.astype(np.int64), float(losses.sum(dtype=np.float64)))

    def _outputs(self, params: Floats, inputs: Floats) -> Floats:
        weight, bias = np.split(params, [self._task.features * self._task.classes])
        return inputs @ weight.reshape(-1, self._task.classes) + bias


def _table(samples: Samples) -> Floats:
    return samples.inputs.reshape(len(samples), -1)


def _gradient(outputs: Floats, inputs: Floats, labels: NDArray[np.int64]) -> Floats:
    """Of the mean loss over the batch, as one flat vector."""
    error = np.exp(_log_softmax(outputs))
    error[np.arange(len(labels)), labels] -= 1.0
    error /= len(labels)
    return np.concatenate([(inputs.T @ error).reshape(-1), error.sum(axis=0)])


def _log_softmax(outputs: Floats) -> Floats:
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logarithm: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logarithm


digits_softmax = SoftmaxTask(
    "digits_softmax",
    dataset=digits_data.digits,
    features=digits_data.PIXELS,
    classes=digits_data.CLASSES,
)
