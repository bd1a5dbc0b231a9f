"""The small world."""

import networkx as nx

from p2pfl.errors import ConfigError
from topologies import construction
from topologies.checks import SizeError, node_count, probability, whole

PURPOSE = 0x5357


def small_world(n: int, k: int = 4, p: float = 0.1, *, seed: int = 0) -> nx.Graph:
    """A ring where each node knows its ``k`` nearest, and each edge is redirected with chance ``p``.

    Connected, with n k / 2 edges.  With p = 0 it is the plain lattice.
    Reference: Watts, Strogatz, "Collective dynamics of small-world networks", Nature 1998.
    """
    k = whole("k", k, at_least=2)
    if k % 2:
        raise ConfigError(f"k must be even (half on each side), found {k}", fix=f"k = {k - 1} or {k + 1}")
    p = probability("p", p)
    seed = whole("seed", seed)
    n = node_count(n)
    if k >= n:
        raise SizeError(
            f"{n} nodes cannot have {k} neighbours each",
            fix=f"at least {k + 1} nodes, or a smaller k",
            stand_in_degree=k,
        )
    drawn = construction.first_connected(
        lambda random: nx.watts_strogatz_graph(n, k, p, seed=random), seed, PURPOSE
    )
    if drawn is None:
        raise SizeError(
            f"no connected small world of {n} nodes with k = {k} and p = {p} found",
            fix=f"k = {k + 2}, or a smaller p",
            stand_in_degree=k,
        )
    return drawn
