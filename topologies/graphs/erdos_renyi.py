"""The purely random graph."""

from math import ceil, log

import networkx as nx

from topologies import construction
from topologies.checks import SizeError, node_count, probability, whole

PURPOSE = 0x4552


def erdos_renyi(n: int, p: float | None = None, seed: int = 0) -> nx.Graph:
    """Each pair is linked with chance ``p`` (left out: 2 ln(n) / n), until the graph is connected.

    Below ln(n) / n a connected graph is a matter of luck.
    Reference: Erdős, Rényi, "On random graphs I", 1959.
    """
    if p is not None:
        p = probability("p", p)
    seed = whole("seed", seed)
    n = node_count(n)
    chance = min(1.0, 2 * log(n) / n) if p is None else p
    drawn = construction.first_connected(
        lambda random: nx.fast_gnp_random_graph(n, chance, seed=random), seed, PURPOSE
    )
    if drawn is None:
        likely = ceil(100 * min(1.0, 2 * log(n) / n)) / 100
        raise SizeError(
            f"no connected graph of {n} nodes in {construction.ATTEMPTS} draws with p = {chance}",
            fix=f"p = {likely} or more",
            stand_in_degree=max(2, 2 * round(chance * (n - 1) / 2)),
        )
    return drawn
