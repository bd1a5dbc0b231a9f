"""Applies an aggregation rule to whole models, block by block, without ever stacking them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# (models [..., K, B], weights [..., K]) -> [..., B]; works on each column by itself
Rule: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

BLOCK_BYTES = 512 * 1024  # of K rows together; a second-level cache holds it, and calls stay few
MIN_COLUMNS = 256  # below that the calls cost more than the cache saves


def aggregate(
    rule: Rule, vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]
) -> NDArray[np.float32]:
    """Apply ``rule`` to K vectors, each [P], with their weights [K]; returns a new vector [P].

    Walks the vectors in blocks of columns that fit the cache, so that each model is read from memory once.
    ``functools.partial(aggregate, mean)`` is what a protocol is set up with.
    """
    check(vectors, weights)
    size = vectors[0].size
    columns = max(MIN_COLUMNS, BLOCK_BYTES // (len(vectors) * vectors[0].itemsize))
    factors = np.asarray(weights, dtype=vectors[0].dtype)
    if size <= columns:
        return rule(np.concatenate(vectors).reshape(len(vectors), size), factors)
    scratch = np.empty((len(vectors), columns), dtype=vectors[0].dtype)
    result = np.empty_like(vectors[0])
    for start in range(0, size, columns):
        stop = min(start + columns, size)
        block = scratch[:, : stop - start]
        for row, vector in zip(block, vectors, strict=True):
            row[:] = vector[start:stop]
        result[start:stop] = rule(block, factors)
    return result


def check(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> None:
    """Refuse vectors and weights that do not belong together; the caller's mistake, hence ValueError."""
    if not vectors:
        raise ValueError("nothing to aggregate")
    if len(vectors) != len(weights):
        raise ValueError(f"{len(vectors)} vectors but {len(weights)} weights")
    first = vectors[0]
    for vector in vectors:
        if vector.ndim != 1 or vector.shape != first.shape or vector.dtype != first.dtype:
            raise ValueError(
                f"vectors differ: {first.dtype}{list(first.shape)} and {vector.dtype}{list(vector.shape)}"
            )
