"""How far the nodes are from each other, kept up to date while they adopt one model after the other."""

from math import sqrt

import numpy as np

from p2pfl.model import Array

BLOCK = 1 << 16  # parameters that are converted to float64 at a time


class RunningDistance:
    """The consensus distance of N models of which one changes at a time: O(P) per change, whatever N is.

    Keeps the sum of all offsets from the common start, in float64, and the sum of their squares; of the
    models only references to those that the nodes have now.  Distances below about 1e-8 of the way from the
    start are rounding.
    """

    def __init__(self, start: Array, nodes: int) -> None:
        self._start = start
        self._nodes = nodes
        self._present: dict[int, Array] = {}
        self._sum = np.zeros(len(start), np.float64)
        self._squares = 0.0

    def changed(self, node: int, params: Array) -> None:
        """A node has another model."""
        before = self._present.get(node, self._start)
        for first in range(0, len(params), BLOCK):
            part = slice(first, first + BLOCK)
            start = self._start[part]
            new = np.subtract(params[part], start, dtype=np.float64)
            old = np.subtract(before[part], start, dtype=np.float64)
            self._squares += float(new @ new) - float(old @ old)
            self._sum[part] += new
            self._sum[part] -= old
        self._present[node] = params

    def distance(self) -> float:
        """``sqrt(1/N sum_i ||x_i - xbar||^2)`` of the present models."""
        mean_square = self._squares / self._nodes
        square_of_mean = float(self._sum @ self._sum) / self._nodes**2
        return sqrt(max(0.0, mean_square - square_of_mean))
