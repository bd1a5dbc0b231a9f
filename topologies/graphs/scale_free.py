"""The scale-free graph."""

import networkx as nx

from topologies import construction
from topologies.checks import SizeError, node_count, whole
from topologies.construction import generator

PURPOSE = 0x5346


def scale_free(n: int, m: int = 2, seed: int = 0) -> nx.Graph:
    """A few hubs and many with few neighbours: newcomers link to ``m`` nodes, rather to well-linked ones.

    Connected, with m (n - m) edges; grown from a star of m + 1 nodes.
    Reference: Barabási, Albert, "Emergence of scaling in random networks", Science 1999.
    """
    m = whole("m", m, at_least=1)
    seed = whole("seed", seed)
    n = node_count(n)
    if m >= n:
        raise SizeError(
            f"{n} nodes are too few for newcomers that link to {m}",
            fix=f"at least {m + 1} nodes, or a smaller m",
            stand_in_degree=2 * m,
        )
    drawn = nx.barabasi_albert_graph(n, m, seed=generator(seed, 0, PURPOSE))
    return construction.graph(n, drawn.edges)
