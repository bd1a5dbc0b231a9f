"""The star."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def star(n: int) -> nx.Graph:
    """Node 0 talks to everyone, the others only to it: a server in all but name, for comparison."""
    n = node_count(n)
    return construction.graph(n, ((0, i) for i in range(1, n)))
