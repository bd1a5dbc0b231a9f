"""The interface of a learner and of the task that makes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.model import Array, Model

# What training keeps at the node beside the model - optimiser state, integer buffers - as arrays by name, in
# the shapes of their tensors (a scalar is an array of one); empty at the start.
TrainingState: TypeAlias = Mapping[str, Array]


WORDED_TENSORS = 4  # of a schema in words


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Integer confusion counts [C, C] (row = true class, column = predicted) and the summed loss.

    Counts of several nodes add up to the global figure; test rows never move.
    """

    confusion: NDArray[np.int64]
    loss_sum: float

    @property
    def count(self) -> int:
        """Number of evaluated samples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of samples on the diagonal; 0 when there are none."""
        return float(np.trace(self.confusion)) / self.count if self.count else 0.0

    @property
    def loss(self) -> float:
        """Mean loss per sample."""
        return self.loss_sum / self.count if self.count else 0.0

    @property
    def macro_f1(self) -> float:
        """Mean over the classes that occur (as truth or prediction) of 2 TP / (row sum + column sum)."""
        hits = np.diag(self.confusion).astype(np.float64)
        total = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        occurs = total > 0
        return float(np.mean(2 * hits[occurs] / total[occurs])) if occurs.any() else 0.0

    def __add__(self, other: "Evaluation") -> "Evaluation":
        return Evaluation(self.confusion + other.confusion, self.loss_sum + other.loss_sum)


@dataclass(frozen=True, slots=True)
class Schema:
    """Names, shapes and dtypes of the tensors behind the flat vector, in its order."""

    entries: tuple[tuple[str, tuple[int, ...], str], ...]

    @property
    def parameters(self) -> int:
        """P, the length of the flat vector."""
        return sum(int(np.prod(shape)) for _, shape, _ in self.entries)

    @property
    def hash(self) -> bytes:
        """8 bytes that differ when a name, a shape, a dtype or the order does."""
        lines = [f"{name}\0{','.join(map(str, shape))}\0{dtype}\n" for name, shape, dtype in self.entries]
        return sha256("".join(lines).encode()).digest()[:8]

    @property
    def words(self) -> str:
        """The size and the first tensors, for people: ``85002 parameters: hidden.weight [64, 64], ...``."""
        shown = [f"{name} {list(shape)}" for name, shape, _ in self.entries[:WORDED_TENSORS]]
        more = ", ..." if len(self.entries) > WORDED_TENSORS else ""
        return f"{self.parameters} parameters: {', '.join(shown)}{more}"


class Learner(Protocol):
    """Trains and evaluates a flat model on one node's data; mutates nothing it is given.

    Both methods are functions of their arguments, and may be called from any thread.
    """

    @property
    def schema(self) -> Schema:
        """What the flat vector is made of."""
        ...

    def initial(self) -> Model:
        """The common starting point: the same on every node of a run, by its seed."""
        ...

    def train(
        self,
        model: Model,
        state: TrainingState,
        *,
        gradient_offset: NDArray[np.float32] | None = None,
    ) -> tuple[Model, TrainingState]:
        """One local update (its epochs or steps); the new model's age is one higher."""
        ...

    def evaluate(self, model: Model) -> Evaluation:
        """Confusion counts and loss on this node's test samples."""
        ...


@dataclass(frozen=True, slots=True)
class LearnerSetup:
    """Where and how a learner works: addresses of its random draws, budget, device.

    ``rounds`` is the run's budget, which the step size decays over; 0 means for ever, at a constant step.
    """

    seed: int = 0
    number: int = 0
    rounds: int = 0
    device: str = "cpu"
    is_deterministic: bool = False


class LearningTask(Protocol):
    """What the user brings: data and a way to learn from it.

    A config names a callable that returns one; the other keys of ``[task]`` are its keyword-only parameters.
    A ``Task`` is such a callable itself; so is a function.
    """

    @property
    def name(self) -> str:
        """The task's name, for people and the plan."""
        ...

    def dataset(self) -> Dataset:
        """Load all samples; raises ConfigError naming a file that is missing or malformed."""
        ...

    def learner(self, train: Samples, test: Samples, setup: LearnerSetup) -> Learner:
        """A learner on a part of the data."""
        ...
