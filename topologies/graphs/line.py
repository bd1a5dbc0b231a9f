"""The line, also called bus or path."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def line(n: int) -> nx.Graph:
    """A chain with two ends (a bus): the slowest connected graph there is."""
    n = node_count(n)
    return construction.graph(n, ((i, i + 1) for i in range(n - 1)))
