"""The hypercube."""

import networkx as nx

from topologies import construction
from topologies.checks import SizeError, node_count, whole

LARGEST_DIMENSION = 19


def hypercube(dimension: int) -> nx.Graph:
    """Neighbours differ in one binary digit: 2^dimension nodes with ``dimension`` neighbours each."""
    dimension = whole("dimension", dimension, at_least=0, at_most=LARGEST_DIMENSION)
    n = 2**dimension
    return construction.graph(n, ((i, i ^ (1 << digit)) for i in range(n) for digit in range(dimension)))


def hypercube_of(n: int) -> nx.Graph:
    """Neighbours differ in one binary digit: fast with log2(n) neighbours; n is a power of two."""
    n = node_count(n)
    dimension = n.bit_length() - 1
    if n != 2**dimension:
        raise SizeError(
            f"a hypercube has 1, 2, 4, 8, ... nodes, not {n}",
            fix=f"{2**dimension} or {2 ** (dimension + 1)} nodes",
            stand_in_degree=2 * ((dimension + 1) // 2),
        )
    return hypercube(dimension)
