"""The tree in which every inner node has the same number of children."""

import networkx as nx

from topologies import construction
from topologies.checks import node_count, whole

DEEPEST = 64


def hierarchy(branching: int = 2, depth: int = 3) -> nx.Graph:
    """The full tree: node 0 is the root, each node above the last level has ``branching`` children."""
    branching = whole("branching", branching, at_least=1)
    depth = whole("depth", depth, at_least=0, at_most=DEEPEST)
    return hierarchy_of(sum(branching**level for level in range(depth + 1)), branching)


def hierarchy_of(n: int, branching: int = 2) -> nx.Graph:
    """A tree: teams under teams, each node with up to ``branching`` below it, filled level by level."""
    branching = whole("branching", branching, at_least=1)
    n = node_count(n)
    return construction.graph(n, (((i - 1) // branching, i) for i in range(1, n)))
