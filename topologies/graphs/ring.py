"""The ring."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def ring(n: int) -> nx.Graph:
    """Each node talks to the next and the one before: cheapest, and slowest to agree in large networks."""
    n = node_count(n)
    return construction.graph(n, ((i, (i + 1) % n) for i in range(n)))
