"""The figures by which topologies are chosen."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from p2pfl.errors import ConfigError
from topologies.eigenvalues import DENSE_LIMIT
from topologies.mixing import heard_links, mixing_weights
from topologies.spectra import rounds_to_consensus, spectral_gap

BLOCK_BYTES = 1 << 24  # working memory of one step of the search for the diameter


@dataclass(frozen=True, slots=True)
class Measures:
    """What a graph costs and how fast it mixes; of a digraph, degrees count those whom a node sends to.

    ``diameter`` and ``rounds_to_consensus`` (to 1/1000) are None when some node's model cannot reach all,
    which ``is_connected`` denies; a digraph may yet agree, on what those who are heard have.
    """

    nodes: int
    edges: int
    degree_min: int
    degree_mean: float
    degree_max: int
    diameter: int | None
    spectral_gap: float
    rounds_to_consensus: int | None
    messages_per_round: int
    is_directed: bool
    is_connected: bool


def measure(graph: nx.Graph) -> Measures:
    """Degrees, diameter, spectral gap of the mixing weights, and messages that a round takes."""
    if not graph:
        raise ConfigError("the graph has no nodes", fix="give at least one node")
    is_directed = bool(graph.is_directed())
    degrees = [degree for _, degree in (graph.out_degree() if is_directed else graph.degree())]
    W = mixing_weights(graph, sparse=len(degrees) > DENSE_LIMIT)
    diameter = longest_path(graph)
    return Measures(
        nodes=len(degrees),
        edges=int(graph.number_of_edges()),
        degree_min=min(degrees),
        degree_mean=sum(degrees) / len(degrees),
        degree_max=max(degrees),
        diameter=diameter,
        spectral_gap=spectral_gap(W),
        rounds_to_consensus=rounds_to_consensus(W, 1e-3),
        messages_per_round=sum(degrees),
        is_directed=is_directed,
        is_connected=diameter is not None,
    )


def longest_path(graph: nx.Graph) -> int | None:
    """The diameter: hops that the farthest model needs; None when one never arrives.

    All nodes search at once: row i holds, as bits, whose models have reached i, and each step joins the
    rows of those whom i hears.
    """
    heard = _heard(graph)
    reached = np.packbits(np.eye(heard.shape[0], dtype=bool), axis=1)
    everyone = np.bitwise_or.reduce(reached, axis=0)
    for hops in range(heard.shape[0]):
        if (reached == everyone).all():
            return hops
        further = _step(reached, heard)
        if np.array_equal(further, reached):
            return None
        reached = further
    return None


def _heard(graph: nx.Graph) -> scipy.sparse.csr_array:
    """Pattern [N, N]: non-zero at [i, j] where i hears j, itself included."""
    return scipy.sparse.csr_array(heard_links(graph) + scipy.sparse.eye_array(len(graph)))


def _step(reached: NDArray[np.uint8], heard: scipy.sparse.csr_array) -> NDArray[np.uint8]:
    """One hop for everyone, in blocks of rows whose gathered bits fit the working memory."""
    count, width = reached.shape
    further = np.empty_like(reached)
    first = 0
    while first < count:
        budget = heard.indptr[first] + max(BLOCK_BYTES // width, 1)
        last = max(int(np.searchsorted(heard.indptr, budget, side="right")) - 1, first + 1)
        sources = heard.indices[heard.indptr[first] : heard.indptr[last]]
        offsets = heard.indptr[first:last] - heard.indptr[first]
        further[first:last] = np.bitwise_or.reduceat(reached[sources], offsets, axis=0)
        first = last
    return further
