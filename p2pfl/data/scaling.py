"""Numbers with gaps made ready to learn from: filled in and scaled by training rows alone."""

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.table import MISSING

SCALES = ("owner", "all", "none")

Floats = NDArray[np.float64]


def prepared(
    numbers: Floats,
    texts: NDArray[np.str_],
    owner: NDArray[np.str_],
    *,
    is_train: NDArray[np.bool_],
    scale: str,
) -> NDArray[np.float32]:
    """Inputs [S, D + one per value of each category] without gaps.

    A gap becomes the mean over its owner's training rows, and where the owner has no value there, the mean
    over all training rows.  ``scale`` is whose training rows give mean and deviation.
    """
    _, owner_of = np.unique(owner, return_inverse=True)
    filled = _filled(numbers, owner_of, is_train)
    if scale != "none":
        by = owner_of if scale == "owner" else np.zeros_like(owner_of)
        filled = _standardised(filled, by, is_train)
    indicators = [_indicators(column, is_train) for column in texts.T]
    return np.concatenate([filled, *indicators], axis=1).astype(np.float32)


def _filled(numbers: Floats, owner_of: NDArray[np.int64], is_train: NDArray[np.bool_]) -> Floats:
    filled = numbers.copy()
    everywhere = _means(numbers[is_train], np.zeros(numbers.shape[1]))
    for one in range(int(owner_of.max()) + 1):
        is_mine = owner_of == one
        means = _means(numbers[is_mine & is_train], everywhere)
        filled[is_mine] = np.where(np.isnan(numbers[is_mine]), means, numbers[is_mine])
    return filled


def _means(rows: Floats, otherwise: Floats) -> Floats:
    """Mean of the values of each column, or ``otherwise`` where there are none."""
    counts = (~np.isnan(rows)).sum(axis=0)
    means: Floats = np.where(counts > 0, np.nansum(rows, axis=0) / np.maximum(counts, 1), otherwise)
    return means


def _standardised(filled: Floats, group_of: NDArray[np.int64], is_train: NDArray[np.bool_]) -> Floats:
    """Mean 0 and deviation 1 over the training rows of a group; a constant column becomes 0.

    A group without training rows, whose scale nobody knows, takes that of all.
    """
    scaled = filled.copy()
    for group in range(int(group_of.max()) + 1):
        is_mine = group_of == group
        own = filled[is_mine & is_train]
        known = own if len(own) > 1 else filled[is_train]
        deviation = known.std(axis=0)
        is_constant = deviation <= 1e-9 * np.abs(known).max(axis=0)
        scaled[is_mine] = (filled[is_mine] - known.mean(axis=0)) / np.where(is_constant, 1.0, deviation)
        scaled[np.ix_(is_mine, is_constant)] = 0.0
    return scaled


def _indicators(column: NDArray[np.str_], is_train: NDArray[np.bool_]) -> Floats:
    """One input per value that occurs in training; a value that is missing or new is zero in all of them."""
    values = [value for value in np.unique(column[is_train]).tolist() if value not in MISSING]
    is_value: NDArray[np.bool_] = column[:, None] == np.array(values, dtype=np.str_)
    return is_value.astype(np.float64)
