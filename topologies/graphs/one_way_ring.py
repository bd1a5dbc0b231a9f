"""The one-way ring."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def one_way_ring(n: int) -> nx.DiGraph:
    """Each node sends to the next one only: one message per node and round."""
    n = node_count(n)
    return construction.digraph(n, ((i, (i + 1) % n) for i in range(n)))
