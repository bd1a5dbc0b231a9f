"""The figures by which topologies are chosen."""

from dataclasses import dataclass
from math import isinf

import networkx as nx
from scipy.sparse.csgraph import dijkstra

from p2pfl.errors import ConfigError
from topologies.eigenvalues import DENSE_LIMIT
from topologies.mixing import heard_links, mixing_weights
from topologies.spectra import rounds_to_consensus, spectral_gap

BLOCK_DISTANCES = 1 << 22  # distances held at once in the search for the diameter


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
    """The diameter: hops that the farthest model needs; None when one never arrives."""
    heard = heard_links(graph)
    count = heard.shape[0]
    block = max(BLOCK_DISTANCES // count, 1)
    longest = 0.0
    for first in range(0, count, block):
        some = range(first, min(first + block, count))
        longest = max(longest, float(dijkstra(heard, indices=some, unweighted=True).max()))
        if isinf(longest):
            return None
    return int(longest)
