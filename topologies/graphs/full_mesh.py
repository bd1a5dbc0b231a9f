"""The full mesh."""

from itertools import combinations

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def full_mesh(n: int) -> nx.Graph:
    """Everyone talks to everyone: agreement after one round, at n (n - 1) messages."""
    n = node_count(n)
    return construction.graph(n, combinations(range(n), 2))
