"""Samples and datasets: plain arrays, no framework."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Inputs [S, ...] float32 and labels [S] int64; ``owner`` [S] names the owner of each row, if known."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    owner: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "Samples":
        """The samples of these row numbers."""
        owner = None if self.owner is None else self.owner[rows]
        return Samples(self.inputs[rows], self.labels[rows], owner)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Training and test samples that share no row, and the number of classes."""

    train: Samples
    test: Samples
    classes: int
