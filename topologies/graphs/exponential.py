"""The static exponential graph."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count


def exponential(n: int) -> nx.DiGraph:
    """Each node hears those 1, 2, 4, 8, ... places ahead: fast for any n, at log2(n) messages a node.

    Equal weights make its mixing matrix doubly stochastic although the edges are one-way.
    Reference: Ying et al., "Exponential graph is provably efficient", NeurIPS 2021.
    """
    n = node_count(n)
    offsets = [1 << digit for digit in range((n - 1).bit_length())]
    return construction.digraph(n, (((i + offset) % n, i) for i in range(n) for offset in offsets))
