"""The mathematics without objects: all models in one array X [N, P], mixed by W [N, N], round by round.

Receiver convention: ``W[i, j]`` is the weight that node i gives to node j's model.  A merge adds up in the
order of the columns, one multiplication and one addition per sender, in the type of X: exactly what
``p2pfl.aggregation.mean`` does for one node, so that both give the same bytes.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import ConfigError
from p2pfl.roster import SparseWeights

BLOCK_BYTES = 1 << 18  # of the rows that are mixed at a time: they and one neighbour's fit the cache
ROW_SUM_TOLERANCE = 1e-6

Rows: TypeAlias = NDArray[np.float32] | NDArray[np.float64]  # X [N, P]
Weights: TypeAlias = NDArray[np.float64] | SparseWeights  # W [N, N]
TrainAll: TypeAlias = Callable[[Rows, int], Rows]  # (X, round) -> X after every node's local update
TrainOne: TypeAlias = Callable[[int, Rows, int], Rows]  # (node, x [P], age) -> x after its local update


class GatheredMixing:
    """W as columns and weights per neighbour slot; slot k holds every row's k-th sender, in column order.

    Rows stand in descending order of their number of senders, so that each slot is a prefix of them and
    nothing is added with weight 0.
    """

    def __init__(self, weights: Weights) -> None:
        row, column, weight = _entries(weights)
        sums = np.bincount(row, weights=weight).astype(np.float64)
        _check_rows(sums)
        count = np.bincount(row)
        self.nodes = len(count)
        self._order = np.argsort(-count, kind="stable")
        count = count[self._order]
        place = np.empty(self.nodes, np.intp)
        place[self._order] = np.arange(self.nodes)
        by_place = np.lexsort((column, place[row]))
        column, weight = column[by_place], weight[by_place]
        start = np.cumsum(count) - count
        self._slots: list[tuple[NDArray[np.intp], NDArray[np.float64]]] = []
        for k in range(int(count[0]) if self.nodes else 0):
            kth = start[: np.count_nonzero(count > k)] + k
            self._slots.append((column[kth], weight[kth]))

    def mix(self, X: Rows) -> Rows:
        """W X, a new array of the type of X."""
        if len(X) != self.nodes:
            raise ConfigError(f"W mixes {self.nodes} nodes, but there are {len(X)} models")
        mixed = np.empty_like(X)
        row_bytes = max(1, X.shape[1] * X.itemsize)
        block = max(1, BLOCK_BYTES // row_bytes)
        for start in range(0, self.nodes, block):
            rows = self._order[start : start + block]
            mixed[rows] = self._mix_rows(X, start, len(rows))
        return mixed

    def _mix_rows(self, X: Rows, start: int, count: int) -> Rows:
        total = np.zeros(0, X.dtype)
        for k, (columns, weights) in enumerate(self._slots):
            part = X[columns[start : start + count]]
            if not len(part):
                break
            part *= weights[start : start + count, np.newaxis].astype(X.dtype)
            if k == 0:
                total = part
            else:
                total[: len(part)] += part
        return total


def gossip_averaging(
    X: Rows, W: Weights | Callable[[int], Weights], rounds: int, *, train: TrainAll | None = None
) -> Rows:
    """Synchronous adapt-then-combine, ``X+ = W train(X)``; without ``train`` plain averaging.

    ``W`` (rows summing to 1) is a matrix, dense or sparse, or a function of the round (0, 1, ...).
    """
    mixing = None if callable(W) else GatheredMixing(W)
    for done in range(rounds):
        mixing = GatheredMixing(W(done)) if callable(W) else mixing
        assert mixing is not None
        X = mixing.mix(X if train is None else train(X, done))
    return X


def walk(x: Rows, path: Iterable[int], train: TrainOne) -> Rows:
    """One model [P] that is trained by the nodes of ``path`` in turn, as the last one leaves it."""
    for age, node in enumerate(path):
        x = train(node, x, age)
    return x


def _entries(weights: Weights) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    if isinstance(weights, np.ndarray):
        row, column = np.nonzero(weights)
        return row, column, weights[row, column]
    found = weights.tocoo()
    return found.row.astype(np.intp), found.col.astype(np.intp), found.data.astype(np.float64)


def _check_rows(sums: NDArray[np.float64]) -> None:
    worst = int(np.argmax(np.abs(sums - 1))) if len(sums) else 0
    if len(sums) and abs(sums[worst] - 1) > ROW_SUM_TOLERANCE:
        raise ConfigError(
            f"row {worst} of the mixing weights sums to {sums[worst]:.6g}, not 1",
            fix="row i holds the weights that node i gives to the messages it receives",
        )
