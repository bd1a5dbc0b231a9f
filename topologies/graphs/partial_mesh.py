"""The random regular graph."""

import networkx as nx
import numpy as np

from p2pfl.errors import ConfigError
from topologies import construction
from topologies.checks import SizeError, node_count, whole
from topologies.construction import generator

PURPOSE = 0x504D


def partial_mesh(n: int, degree: int = 4, seed: int = 0) -> nx.Graph:
    """Each node has ``degree`` random neighbours: few messages, and the models still spread fast.

    Connected; daemons whose number changes use rings instead (``topologies.for_members``).
    """
    degree = whole("degree", degree, at_least=1)
    seed = whole("seed", seed)
    n = node_count(n)
    if not _exists(n, degree):
        raise SizeError(_reason(n, degree), fix=_nearest(n, degree), stand_in_degree=degree + degree % 2)
    if degree == 2:
        return _random_ring(
            n, seed
        )  # the connected 2-regular graphs are the rings, and hard to meet by chance
    if 2 * degree >= n - 1:
        left_out = _sparse(n, n - 1 - degree, generator(seed, 0, PURPOSE))
        return construction.graph(n, nx.complement(left_out).edges)  # connected: degree >= (n - 1) / 2
    drawn = construction.first_connected(lambda random: _sparse(n, degree, random), seed, PURPOSE)
    if drawn is None:  # a random 3-regular graph is disconnected with a chance of order 1/n^2
        raise ConfigError(f"no connected graph of {n} nodes and degree {degree} found", fix="another seed")
    return drawn


def _sparse(n: int, degree: int, random: np.random.Generator) -> nx.Graph:
    drawn = nx.random_regular_graph(degree, n, seed=random)
    return construction.graph(n, drawn.edges)


def _random_ring(n: int, seed: int) -> nx.Graph:
    order = [int(node) for node in generator(seed, 0, PURPOSE).permutation(n)]
    return construction.graph(n, zip(order, order[1:] + order[:1], strict=True))


def _exists(n: int, degree: int) -> bool:
    return degree < n and n * degree % 2 == 0 and (degree > 1 or n == 2)


def _reason(n: int, degree: int) -> str:
    wanted = f"no connected graph has {n} nodes with {degree} neighbours each"
    if degree >= n:
        return f"{wanted}: a node has at most {n - 1}"
    if degree == 1:
        return f"{wanted}: it would fall into pairs"
    return f"{wanted}: {n} * {degree} is odd, and every edge has two ends"


def _nearest(n: int, degree: int) -> str:
    degrees = [d for d in (min(degree - 1, n - 1), degree + 1) if d > 0 and _exists(n, d)]
    sizes = [size for size in (n - 1, max(n + 1, degree + 1)) if _exists(size, degree)]
    found = [f"degree {d}" for d in degrees] + [f"{size} nodes" for size in sizes]
    return " or ".join(found) or "more nodes"
