"""The weighted mean: what gossip averaging does with a neighbourhood's models."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", np.float32, np.float64)


def mean(models: NDArray[Float], weights: NDArray[Float] | NDArray[np.float64]) -> NDArray[Float]:
    """Weighted mean ``sum_k weights[..., k] * models[..., k, :]``; the weights sum to 1.

    ``models`` is [..., K, B], ``weights`` [..., K]; returns [..., B].  Sums in the order k = 0 ... K-1 in
    the models' dtype, one multiplication and one addition per model, so that the bytes depend neither on
    B nor on the leading axes: one node and all nodes of a simulation get the same.
    Tolerates no arbitrary model.
    """
    if models.ndim < 2 or models.shape[-2] == 0:
        raise ValueError(f"models must be [..., K, B] with K > 0, not {models.shape}")
    if weights.shape != models.shape[:-1]:
        raise ValueError(f"weights {weights.shape} do not fit models {models.shape}")
    factors = weights.astype(models.dtype, copy=False)[..., np.newaxis]
    total: NDArray[Float] = models[..., 0, :] * factors[..., 0, :]
    term = np.empty_like(total)
    for k in range(1, models.shape[-2]):
        np.multiply(models[..., k, :], factors[..., k, :], out=term)
        np.add(total, term, out=total)
    return total
