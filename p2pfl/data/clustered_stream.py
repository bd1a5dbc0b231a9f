"""A stream whose first part is sorted by kind: each node sees at first only what is alike.

Reference: He et al., "Central server free federated learning over single-sided trust social networks",
2019, whose "adversarial" share of the data is assigned by k-means.
"""

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Samples
from p2pfl.data.partition import Rows
from p2pfl.errors import ConfigError

KMEANS_PURPOSE = 0x4B4D4E53
MAX_SWEEPS = 100
BLOCK_ROWS = 4096  # of distances at a time

Floats = NDArray[np.float64]


def clustered_stream(samples: Samples, parts: int, seed: int, *, beta: float = 0.5) -> list[Rows]:
    """The first ``beta`` of the rows by k-means, one cluster per part; the rest fills the parts in order.

    All parts have S / K rows (the first ones one more); what a cluster has beyond that joins the rest.
    """
    _check(samples, parts, beta)
    rows = len(samples)
    sizes = [len(piece) for piece in np.array_split(np.arange(rows), parts)]
    sorted_rows = int(beta * rows)
    points = samples.inputs.reshape(rows, -1)[:sorted_rows].astype(np.float64)
    cluster_of = clusters(points, parts, seed)
    taken = [np.flatnonzero(cluster_of == part)[:size] for part, size in enumerate(sizes)]
    is_left = np.ones(rows, dtype=np.bool_)
    is_left[np.concatenate(taken)] = False
    ends = np.cumsum([size - len(own) for own, size in zip(taken, sizes, strict=True)])
    filling = np.split(np.flatnonzero(is_left), ends[:-1])
    return [np.sort(np.concatenate(both)) for both in zip(taken, filling, strict=True)]


def _check(samples: Samples, parts: int, beta: object) -> None:
    if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 <= beta <= 1:
        raise ConfigError(f"beta must be a number from 0 to 1, not {beta!r}", where="data.beta")
    if not 1 <= parts <= len(samples):
        raise ConfigError(
            f"{len(samples)} rows cannot give {parts} parts at least 1 row each",
            where="data.parts",
            fix=f"1 to {len(samples)} parts",
        )


def clusters(points: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """Lloyd's k-means from k-means++ centres, [S]; importing a library for it would take a second.

    Reference: Arthur and Vassilvitskii, "k-means++", SODA 2007.
    """
    if not len(points):
        return np.empty(0, dtype=np.int64)
    random = np.random.default_rng([seed, 0, 0, KMEANS_PURPOSE])
    centres = _spread_centres(random, points, count)
    nearest = _nearest(points, centres)
    for _ in range(MAX_SWEEPS):
        sizes = np.bincount(nearest, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        # A centre that has lost all its points stays where it is.
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        before, nearest = nearest, _nearest(points, centres)
        if (nearest == before).all():
            break
    return nearest


def _spread_centres(random: np.random.Generator, points: Floats, count: int) -> Floats:
    """The first at random, each next one by its squared distance to those before; none twice."""
    chosen = [int(random.integers(len(points)))]
    distances = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and (total := distances.sum()) > 0:
        chosen.append(int(random.choice(len(points), p=distances / total)))
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return points[chosen]


def _nearest(points: Floats, centres: Floats) -> NDArray[np.int64]:
    """Number of the nearest centre: |p - c|^2 without |p|^2, which is the same for all centres."""
    lengths = (centres**2).sum(axis=1)
    blocks = [
        (lengths - 2 * points[first : first + BLOCK_ROWS] @ centres.T).argmin(axis=1)
        for first in range(0, len(points), BLOCK_ROWS)
    ]
    return np.concatenate(blocks)
