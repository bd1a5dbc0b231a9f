"""How a graph is put together, so that equal arguments give equal graphs down to the order of edges."""

from collections.abc import Callable, Iterable

import networkx as nx
import numpy as np

ATTEMPTS = 100  # draws of a random graph before it counts as hopeless

Edges = Iterable[tuple[int, int]]


def graph(n: int, edges: Edges) -> nx.Graph:
    """The graph on 0..n-1 with these edges, in sorted order."""
    made = nx.Graph()
    made.add_nodes_from(range(n))
    made.add_edges_from(sorted({(min(u, v), max(u, v)) for u, v in edges if u != v}))
    return made


def digraph(n: int, edges: Edges) -> nx.DiGraph:
    """The digraph on 0..n-1 with these edges u -> v (u sends to v), in sorted order."""
    made = nx.DiGraph()
    made.add_nodes_from(range(n))
    made.add_edges_from(sorted({(u, v) for u, v in edges if u != v}))
    return made


def generator(seed: int, attempt: int, purpose: int) -> np.random.Generator:
    """The random numbers of one draw, addressed and not consumed: the same on every machine."""
    return np.random.default_rng([seed, attempt, purpose])


def first_connected(
    draw: Callable[[np.random.Generator], nx.Graph], seed: int, purpose: int
) -> nx.Graph | None:
    """The first connected graph among ``ATTEMPTS`` draws, or None."""
    for attempt in range(ATTEMPTS):
        drawn = draw(generator(seed, attempt, purpose))
        if nx.is_connected(drawn):
            return graph(drawn.number_of_nodes(), drawn.edges)
    return None
