"""Which rows are for tests: a fixed choice, the same for every seed, so that all nodes of all runs agree."""

import numpy as np
from numpy.typing import NDArray

SPLIT_PURPOSE = 0x53504C54


def test_rows_by_owner(labels: NDArray[np.str_], owner: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """True for ``share`` of the rows of each label of each owner, chosen in an order that means nothing.

    A group of rows gives the nearest whole number; what rounding leaves goes to training.
    """
    is_test = np.zeros(len(labels), dtype=np.bool_)
    _, group_of = np.unique(np.column_stack([owner, labels]), axis=0, return_inverse=True)
    random = np.random.default_rng(SPLIT_PURPOSE)
    order = random.permutation(len(labels))
    for group in range(int(group_of.max(initial=-1)) + 1):
        rows = order[group_of.reshape(-1)[order] == group]
        is_test[rows[: round(share * len(rows))]] = True
    return is_test
