"""How fast repeated mixing leads to agreement, and on what.

``rho(W)`` is the factor by which one round X+ = W X brings the nodes nearer to agreement, at worst;
``gap = 1 - rho``.  For a doubly stochastic W it is ||W - J||_2 (J: all entries 1/N); for a symmetric one
that is also the second largest |eigenvalue| (``slem``).  A W with other limits is measured around its own:
around 1 pi' in the norm weighted by pi, which is the same thing where pi is uniform.
"""

from math import ceil, log

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from p2pfl.errors import ConfigError
from topologies.eigenvalues import (
    DENSE_LIMIT,
    dense,
    extreme_eigenvalues,
    norm_beside,
    second_largest_modulus,
)
from topologies.mixing import Matrix

TOLERANCE = 1e-12  # of sums that should be 1, and of a rho that should be 1


def slem(W: Matrix) -> float:
    """Second largest eigenvalue modulus: the rate at which powers of this one W converge."""
    if W.shape[0] == 1:
        return 0.0
    if _is_symmetric(W):
        second, smallest = extreme_eigenvalues(W, top=1.0)
        return max(abs(second), abs(smallest))
    return second_largest_modulus(W)


def rho(W: Matrix) -> float:
    """Contraction of one round (see the module); 1 when there is none, 0 when all agree at once.

    W may be row- or column-stochastic.  Where a node is heard by nobody the norm does not exist, and the
    second largest |eigenvalue| stands in for it.
    """
    if not _sums_to_one(W, axis=1):
        if not _sums_to_one(W, axis=0):
            raise ConfigError("neither the rows nor the columns of W sum to 1")
        W = W.T
    if _is_symmetric(W):
        return slem(W)
    if _closed_classes(W).max(initial=0) > 1:
        return 1.0
    weight = np.sqrt(stationary_distribution(W))
    if weight.min() == 0.0:
        return slem(W)
    if scipy.sparse.issparse(W):
        scaled = scipy.sparse.diags_array(weight) @ W @ scipy.sparse.diags_array(1.0 / weight)
    else:
        scaled = weight[:, None] * W / weight
    return norm_beside(scaled, weight)


def spectral_gap(W: Matrix) -> float:
    """1 - rho(W): 1 is agreement after one round, 0 is never."""
    gap = 1.0 - rho(W)
    return gap if gap > TOLERANCE else 0.0


def rounds_to_consensus(W: Matrix, epsilon: float = 1e-3) -> int | None:
    """The rounds after which the disagreement is surely below ``epsilon`` of what it was; None: never."""
    if not 0 < epsilon < 1:
        raise ConfigError(f"epsilon must lie between 0 and 1, found {epsilon!r}")
    if W.shape[0] == 1:
        return 0
    factor = 1.0 - spectral_gap(W)
    if factor >= 1.0:
        return None
    if factor <= epsilon:
        return 1
    return ceil(log(epsilon) / log(factor) - 1e-9)


def stationary_distribution(W: Matrix) -> NDArray[np.float64]:
    """pi [N] with pi' W = pi': what each node's start counts in the value that averaging ends at.

    W is row-stochastic.  A node that nobody hears has 0.  Raises ConfigError when two groups never hear
    each other, since each then ends at a value of its own.
    """
    if not _sums_to_one(W, axis=1):
        raise ConfigError("the rows of W do not sum to 1", fix="for push weights give W.T")
    closed = _closed_classes(W)
    if closed.max() > 1:
        raise ConfigError(f"{closed.max()} groups of nodes never hear each other: no single limit")
    heard = np.flatnonzero(closed)
    pi = np.zeros(W.shape[0])
    pi[heard] = _left_fixed_vector(W[np.ix_(heard, heard)])
    return pi


def _left_fixed_vector(W: Matrix) -> NDArray[np.float64]:
    """The stationary distribution of an irreducible W [N, N]."""
    count = W.shape[0]
    if _sums_to_one(W, axis=0):
        return np.full(count, 1.0 / count)
    if count <= DENSE_LIMIT:
        # pi' (I - W + E) = 1' with E all ones: nonsingular, and it fixes the sum
        found = np.linalg.solve((np.eye(count) - dense(W) + 1.0).T, np.ones(count))
    else:
        equations = scipy.sparse.lil_array((scipy.sparse.eye_array(count) - W).T)
        equations[-1, :] = 1.0
        found = spsolve(equations.tocsc(), np.eye(1, count, count - 1).ravel())
    return np.asarray(found / found.sum())


def _closed_classes(W: Matrix) -> NDArray[np.int64]:
    """[N]: 0 for nodes that nobody lasting hears, else the number (from 1) of the group that a node is in.

    A closed group listens to nobody outside; repeated averaging ends at its members' values.
    """
    links = scipy.sparse.coo_array(W)
    groups, group_of = connected_components(links, directed=True, connection="strong")
    listens_outside = np.zeros(groups, dtype=bool)
    crossing = group_of[links.row] != group_of[links.col]
    listens_outside[group_of[links.row[crossing]]] = True
    numbers = np.where(listens_outside, 0, np.cumsum(~listens_outside))
    return np.asarray(numbers[group_of], dtype=np.int64)


def _sums_to_one(W: Matrix, *, axis: int) -> bool:
    return bool(np.abs(np.asarray(W.sum(axis=axis)) - 1.0).max() <= TOLERANCE * W.shape[0])


def _is_symmetric(W: Matrix) -> bool:
    return bool(abs(W - W.T).max() <= TOLERANCE)
