"""How far the nodes are from each other, kept up to date while they adopt one model after the other."""

from math import nan, sqrt

import numpy as np

from p2pfl.model import Array

BLOCK = 1 << 16  # parameters that are converted to float64 at a time
FORGOTTEN = 1e-6  # share of the largest sum of squares so far, below which rounding would be seen


class RunningDistance:
    """The consensus distance of N models of which one changes at a time: O(P) per change, whatever N is.

    Keeps the sum of all offsets from the common start, in float64, and the sum of their squares; of the
    models only references to those that the nodes have now.  Distances below about 1e-8 of the way from the
    start are rounding.  Models that are not finite stay out of the sums, and there is no distance (NaN) while
    a node has one; when far ones have come back, the sums are made anew.
    """

    def __init__(self, start: Array, nodes: int) -> None:
        self._start = start
        self._nodes = nodes
        self._present: dict[int, Array] = {}
        self._diverged: set[int] = set()
        self._clear()

    def changed(self, node: int, params: Array) -> None:
        """A node has another model."""
        if node in self._present:
            self._add(self._present.pop(node), sign=-1)
        self._diverged.discard(node)
        if np.isfinite(params).all():
            self._add(params, sign=1)
            self._present[node] = params
        else:
            self._diverged.add(node)

    def distance(self) -> float:
        """``sqrt(1/N sum_i ||x_i - xbar||^2)`` of the present models; NaN while one is not finite."""
        if self._diverged:
            return nan
        if self._squares < FORGOTTEN * self._largest:
            self._clear()
            for params in self._present.values():
                self._add(params, sign=1)
        mean_square = self._squares / self._nodes
        square_of_mean = float(self._sum @ self._sum) / self._nodes**2
        return sqrt(max(0.0, mean_square - square_of_mean))

    def _clear(self) -> None:
        self._sum = np.zeros(len(self._start), np.float64)
        self._squares = self._largest = 0.0

    def _add(self, params: Array, *, sign: int) -> None:
        for first in range(0, len(params), BLOCK):
            part = slice(first, first + BLOCK)
            offset = np.subtract(params[part], self._start[part], dtype=np.float64)
            self._squares += sign * float(offset @ offset)
            self._sum[part] += sign * offset
        self._largest = max(self._largest, self._squares)
