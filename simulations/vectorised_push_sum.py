"""Push-sum and pairwise gossip on arrays: averages that need no agreement of both ends on a weight.

Push-sum mixes by columns: ``C[i, j]`` is the share of what node j holds that it pushes to node i, and every
column sums to 1.  Sums and weights are float64 whatever the type of X, as ``p2pfl.protocols.push_sum`` has
them: of the size of a float32 X there are, beside what the caller and the optimisers keep, at most four:
while training the sums (two), z and what it becomes; while mixing the sums and what they are mixed into.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from p2pfl.errors import ConfigError
from p2pfl.learning.swarm_learner import Rows
from p2pfl.protocols.push_sum import FLOOR
from simulations.mixing import Weights, check_sums
from simulations.vectorised import TrainAll

BLOCK_BYTES = 1 << 20  # of the sums that are divided, or added to, at a time
PAIRS_PURPOSE = 0x50414952  # addresses the draws of who exchanges with whom

Numbers = NDArray[np.float64]


def push_sum(
    X: Rows,
    C: Weights | Callable[[int], Weights],
    rounds: int,
    *,
    train: TrainAll | None = None,
    mixing_rounds: int = 2,
    weights: Numbers | None = None,
) -> Rows:
    """Stochastic gradient push: ``s += w0 (train(z) - z)``, ``s+ = C s``, ``w+ = C w``; returns z = s / w.

    ``C`` (columns summing to 1) is a matrix, dense or sparse, or a function of the round (0, 1, ...);
    ``mixing_rounds`` exchanges follow each training.  ``weights`` [N] are the starting weights ``w0`` of a
    weighted mean (default: 1 each).
    """
    first = np.ones(len(X)) if weights is None else weights.astype(np.float64)
    nodes, is_double = len(X), X.dtype == np.float64
    S, w = X * first[:, np.newaxis], first
    del X  # which is the caller's to keep
    mixing = None if callable(C) else _columns(C, nodes)
    for done in range(rounds):
        if train is not None:
            z = _ratio(S, w, is_double=is_double)
            _add_training(S, first, z, trained=train(z, done))
            del z  # before mixing
        mixing = _columns(C(done), nodes) if callable(C) else mixing
        assert mixing is not None
        for _ in range(mixing_rounds):
            shares = _with_pauses(mixing, w < FLOOR * first)
            S, w = shares @ S, shares @ w
    return _ratio(S, w, is_double=is_double)


def _ratio(S: Numbers, w: Numbers, *, is_double: bool) -> Rows:
    z: Rows = np.empty(S.shape, np.float64 if is_double else np.float32)
    for rows in _blocks(S):
        z[rows] = S[rows] / w[rows, np.newaxis]
    return z


def _blocks(S: Numbers) -> list[slice]:
    """The rows of S, some at a time."""
    size = max(1, BLOCK_BYTES // max(1, 8 * S.shape[1]))
    return [slice(first, first + size) for first in range(0, len(S), size)]


def push_shares(W: Weights) -> sparse.csr_array:
    """C for those who send to whom in ``W``: each keeps and pushes equal shares, 1 / (1 + receivers)."""
    heard = sparse.csr_array(W)
    heard.setdiag(1)
    heard.eliminate_zeros()
    heard.data[:] = 1.0
    return sparse.csr_array(heard @ sparse.diags_array(1.0 / np.asarray(heard.sum(axis=0))))


def pairwise(X: Rows, pairs: NDArray[np.int64]) -> Rows:
    """Randomised gossip: in each exchange (i, j) of ``pairs`` [T, 2], in turn, both set (x_i + x_j) / 2.

    Exchanges that follow each other and share no node are carried out together; the bytes are the same.
    """
    X = X.copy()
    begin = 0
    while begin < len(pairs):
        end = _end_of_disjoint(pairs, begin)
        i, j = pairs[begin:end].T
        middle = (X[i] + X[j]) / 2
        X[i] = X[j] = middle
        begin = end
    return X


def random_pairs(
    W: Weights, exchanges: int, *, seed: int, clock: Literal["edge", "node"] = "edge"
) -> NDArray[np.int64]:
    """Who exchanges with whom, [exchanges, 2], on the undirected graph of the entries of ``W``.

    ``edge``: a uniform edge each time; ``node``: a uniform node picks a uniform neighbour.
    """
    links = _links(W)
    random = np.random.default_rng([seed, PAIRS_PURPOSE])
    if clock == "edge":
        edges = np.stack(sparse.triu(links).nonzero(), axis=1).astype(np.int64)
        return edges[random.integers(len(edges), size=exchanges)]
    degree = np.diff(links.indptr)
    nodes = random.integers(len(degree), size=exchanges)
    chosen = links.indptr[nodes] + random.integers(degree[nodes])
    return np.stack([nodes, links.indices[chosen]], axis=1).astype(np.int64)


def _add_training(S: Numbers, first: Numbers, z: Rows, *, trained: Rows) -> None:
    """Add to each sum, in place, what training has changed in the node's ratio."""
    for rows in _blocks(S):  # no further array of this size
        S[rows] += first[rows, np.newaxis] * np.subtract(trained[rows], z[rows], dtype=np.float64)


def _columns(C: Weights, nodes: int) -> sparse.csr_array:
    shares = sparse.csr_array(C)
    if shares.shape != (nodes, nodes):
        raise ConfigError(f"C mixes {shares.shape[0]} nodes, but there are {nodes} models")
    check_sums(np.asarray(shares.sum(axis=0), np.float64), "columns")
    return shares


def _with_pauses(shares: sparse.csr_array, pauses: NDArray[np.bool_]) -> sparse.csr_array:
    """C where nodes whose weight has become too small keep all they have."""
    if not pauses.any():
        return shares
    pushing = sparse.diags_array((~pauses).astype(np.float64))
    return sparse.csr_array(shares @ pushing + sparse.diags_array(pauses.astype(np.float64)))


def _links(W: Weights) -> sparse.csr_array:
    """1.0 at [i, j] and [j, i] where either hears the other."""
    links = sparse.csr_array(W)
    links = sparse.csr_array(links + links.T)
    links.setdiag(0)
    links.eliminate_zeros()
    if not links.nnz:
        raise ConfigError("nobody is linked to anybody, so that nobody can exchange")
    if np.diff(links.indptr).min() == 0:
        raise ConfigError(f"node {int(np.argmin(np.diff(links.indptr)))} is linked to nobody")
    return links


def _end_of_disjoint(pairs: NDArray[np.int64], begin: int) -> int:
    """The longest run of exchanges from ``begin`` in which no node stands twice ends before this one."""
    met: set[int] = set()
    for end in range(begin, len(pairs)):
        i, j = pairs[end].tolist()
        if i in met or j in met:
            return end
        met |= {i, j}
    return len(pairs)
