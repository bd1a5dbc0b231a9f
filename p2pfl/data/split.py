"""Which rows are for tests: a fixed choice, the same for every seed, so that all nodes of all runs agree."""

import numpy as np
from numpy.typing import NDArray

SPLIT_PURPOSE = 0x53504C54


def test_rows_by_owner(labels: NDArray[np.int64], owner: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """True for ``share`` of the rows of each label of each owner, chosen in an order that means nothing.

    A group of rows gives the nearest whole number; what rounding leaves goes to training.
    """
    is_test = np.zeros(len(labels), dtype=np.bool_)
    _, owner_of = np.unique(owner, return_inverse=True)
    group_of = owner_of * (labels.max(initial=0) + 1) + labels
    order = np.random.default_rng(SPLIT_PURPOSE).permutation(len(labels))
    for group in np.unique(group_of):
        rows = order[group_of[order] == group]
        is_test[rows[: round(share * len(rows))]] = True
    return is_test
