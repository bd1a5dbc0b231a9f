"""Mixing weights: how much of whose model a node takes.

Receiver convention: ``W[i, j]`` is the weight that node i gives to the message from node j; a round of
averaging is X+ = W X.  Rows and columns stand in the order of the graph's nodes.  All functions give a
dense float64 array [N, N], or with ``sparse=True`` a scipy CSR array.  Self-loops and weights of edges
in the given graph count for nothing.
"""

from typing import TypeAlias

import networkx as nx
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from p2pfl.errors import ConfigError
from topologies.eigenvalues import extreme_eigenvalues

Matrix: TypeAlias = "NDArray[np.float64] | scipy.sparse.csr_array"


def mixing_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """What gossip averaging uses: Metropolis weights on a graph, receive weights on a digraph."""
    rule = receive_weights if graph.is_directed() else metropolis_weights
    return rule(graph, sparse=sparse)


def metropolis_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """Doubly stochastic from the neighbours' degrees alone: W_ij = 1 / (1 + max(d_i, d_j)).

    Reference: Xiao, Boyd, "Fast linear iterations for distributed averaging", 2004.
    """
    links = _undirected_links(graph, "metropolis_weights")
    degree = _row_sums(links)
    receiver, sender = links.nonzero()
    weights = 1.0 / (1.0 + np.maximum(degree[receiver], degree[sender]))
    return _with_the_rest_kept(scipy.sparse.csr_array((weights, (receiver, sender)), links.shape), sparse)


def max_degree_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """W = I - L / (d_max + 1): doubly stochastic, but needs the largest degree of the whole graph."""
    links = _undirected_links(graph, "max_degree_weights")
    return _with_the_rest_kept(links / (1.0 + _row_sums(links).max()), sparse)


def best_constant_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """W = I - alpha L with alpha = 2 / (l_2 + l_n): the fastest with one weight for all edges.

    rho = (l_n - l_2) / (l_n + l_2); a node may give itself a negative weight.
    Reference: Xiao, Boyd, "Fast linear iterations for distributed averaging", 2004.
    """
    links = _undirected_links(graph, "best_constant_weights")
    laplacian = scipy.sparse.diags_array(_row_sums(links)) - links
    # -L has the largest eigenvalue 0; the next one is -l_2, the smallest -l_n
    second, smallest = extreme_eigenvalues(-laplacian, top=0.0)
    alpha = -2.0 / (second + smallest) if links.nnz else 0.0
    return _with_the_rest_kept(links * alpha, sparse)


def receive_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """Row-stochastic: each node gives equal weight to itself and to everyone it hears.

    The receiver can arrange it alone.  Repeated use ends at ``stationary_distribution``, not at the mean.
    """
    links = heard_links(graph)
    own = 1.0 / (1.0 + _row_sums(links))
    return _format(scipy.sparse.diags_array(own) @ (links + scipy.sparse.eye_array(len(own))), sparse)


def push_weights(graph: nx.Graph, *, sparse: bool = False) -> Matrix:
    """Column-stochastic: each node splits what it has equally among itself and those it sends to.

    The sender can arrange it alone; for push-sum, which divides the bias out.
    """
    links = heard_links(graph)
    share = 1.0 / (1.0 + _row_sums(links.T))
    return _format((links + scipy.sparse.eye_array(len(share))) @ scipy.sparse.diags_array(share), sparse)


def without_messages(W: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights of a round in which the messages ``lost[i, j]`` (from j to i) are missing.

    The weight of a missing neighbour returns to the node itself: rows still sum to 1, columns only when
    both ends of a pair miss each other.
    """
    absent = lost & ~np.eye(len(W), dtype=bool)
    kept = np.where(absent, 0.0, W)
    kept[np.diag_indices_from(kept)] += np.where(absent, W, 0.0).sum(axis=1)
    return kept


def heard_links(graph: nx.Graph) -> scipy.sparse.csr_array:
    """1.0 at [i, j] where i hears j: the transposed adjacency matrix without self-loops."""
    if not graph:
        raise ConfigError("the graph has no nodes", fix="give at least one node")
    sending = nx.to_scipy_sparse_array(graph, weight=None, dtype=np.float64, format="coo")
    others = sending.row != sending.col
    heard = scipy.sparse.csr_array(
        (sending.data[others], (sending.col[others], sending.row[others])), sending.shape
    )
    heard.data[:] = 1.0  # parallel edges of a multigraph count once
    return heard


def _undirected_links(graph: nx.Graph, rule: str) -> scipy.sparse.csr_array:
    if graph.is_directed():
        raise ConfigError(
            f"{rule} needs an undirected graph, found a digraph",
            fix="receive_weights (for averaging) or push_weights (for push-sum)",
        )
    return heard_links(graph)


def _row_sums(links: scipy.sparse.csr_array) -> NDArray[np.float64]:
    return np.asarray(links.sum(axis=1), dtype=np.float64)


def _with_the_rest_kept(links: scipy.sparse.csr_array, sparse: bool) -> Matrix:
    """These weights for others, and on the diagonal what is left of 1."""
    return _format(links + scipy.sparse.diags_array(1.0 - _row_sums(links)), sparse)


def _format(W: scipy.sparse.csr_array, sparse: bool) -> Matrix:
    made = scipy.sparse.csr_array(W)
    made.sort_indices()
    return made if sparse else made.toarray()
