"""Random one-way trust."""

import networkx as nx

from topologies import construction
from topologies.checks import SizeError, node_count, whole
from topologies.construction import generator

PURPOSE = 0x4F57


def one_way_trust(n: int, out_degree: int = 2, seed: int = 0) -> nx.DiGraph:
    """Each node shares with ``out_degree`` others, who need not share back; every model can reach everyone.

    A random one-way ring, which makes the digraph strongly connected, and beside it random further edges.
    """
    out_degree = whole("out_degree", out_degree, at_least=1)
    seed = whole("seed", seed)
    n = node_count(n)
    if out_degree >= n:
        raise SizeError(
            f"{n} nodes cannot share with {out_degree} others each",
            fix=f"out_degree at most {n - 1}, or at least {out_degree + 1} nodes" if n > 1 else "more nodes",
            stand_in_degree=out_degree + out_degree % 2,
        )
    random = generator(seed, 0, PURPOSE)
    order = [int(node) for node in random.permutation(n)]
    edges: list[tuple[int, int]] = []
    for node, successor in zip(order, order[1:] + order[:1], strict=True):
        low, high = sorted((node, successor))
        picks = random.choice(n - 2, out_degree - 1, replace=False).tolist() if out_degree > 1 else []
        others = (pick + (pick >= low) + (pick + 1 >= high) for pick in picks)  # all but these two
        edges += [(node, target) for target in (successor, *others)]
    return construction.digraph(n, edges)
