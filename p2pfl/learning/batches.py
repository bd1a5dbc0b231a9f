"""Which rows make up the mini-batches of a local update."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.learning.options import require_whole


@dataclass(frozen=True, slots=True)
class Batches:
    """A local update's budget: ``local_steps`` mini-batches, or where that is 0 ``local_epochs`` passes.

    A pass is cut into batches of nearly equal size, at most ``size``: a last batch of one row would break
    batch normalisation, and weigh that row ``size`` times.
    """

    size: int = 16
    local_epochs: int = 2
    local_steps: int = 0

    def __post_init__(self) -> None:
        require_whole("batch_size", self.size, least=1)
        require_whole("local_epochs", self.local_epochs, least=1)
        require_whole("local_steps", self.local_steps, least=0)

    def draw(self, random: np.random.Generator, rows: int) -> Iterator[NDArray[np.int64]]:
        """Row numbers of each mini-batch: every pass is a fresh permutation of all rows."""
        per_pass = math.ceil(rows / self.size)
        steps = self.local_steps or self.local_epochs * per_pass
        for first in range(0, steps, per_pass):
            yield from np.array_split(random.permutation(rows), per_pass)[: steps - first]

    def sizes(self, rows: int) -> list[int]:
        """Rows in each mini-batch of a local update."""
        per_pass = math.ceil(rows / self.size)
        steps = self.local_steps or self.local_epochs * per_pass
        small, larger = divmod(rows, per_pass)
        return [small + (step % per_pass < larger) for step in range(steps)]

    def order(self, random: np.random.Generator, rows: int) -> NDArray[np.int64]:
        """Row numbers of all mini-batches, one after the other: those of ``draw``, uncut."""
        passes = [random.permutation(rows) for _ in range(self._passes(rows))]
        return passes[0] if len(passes) == 1 else np.concatenate(passes)

    def _passes(self, rows: int) -> int:
        if not self.local_steps:
            return self.local_epochs
        return math.ceil(self.local_steps / math.ceil(rows / self.size))
