"""Where a token goes when nothing fails: who trains it, hop by hop, and how many edges it crosses."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType

import networkx as nx

from p2pfl.events import View
from p2pfl.protocols import cyclic_pass, random_walk
from p2pfl.roster import GraphWiring
from simulations.setting import Setting


def cyclic_path(setting: Setting) -> list[int]:
    """The nodes that train, in this order, in a cyclic pass."""
    order = str(setting.protocol.options.get("order", "fixed"))
    visits = cyclic_pass.visits(setting.members, seed=setting.seed, rounds=setting.rounds, order=order)
    return [int(member) for member in visits]


def random_path(setting: Setting) -> list[int]:
    """The nodes that train, in this order, in a random walk."""
    members = setting.members
    wiring = GraphWiring(members, setting.schedule)
    view = View(members[0], members, frozenset(members), frozenset(members), wiring)
    rule = str(setting.protocol.options.get("rule", "metropolis_hastings"))
    numbers = {member: number for number, member in enumerate(members)}
    visits = random_walk.visits(view, numbers, seed=setting.seed, rounds=setting.rounds, rule=rule)
    return [numbers[member] for member in visits]


PATHS: Mapping[str, Callable[[Setting], list[int]]] = MappingProxyType(
    {"cyclic_pass": cyclic_path, "random_walk": random_path}
)


def token_messages(setting: Setting, path: Sequence[int]) -> int:
    """How often the token is sent: along ``path``, with relays, and then once to everybody in turn."""
    graph = setting.schedule.graph(0)

    @cache
    def edges(u: int, v: int) -> int:
        return int(nx.shortest_path_length(graph, u, v))

    last = path[-1]
    final_lap = [*range(last, setting.nodes), *range(last)]
    stations = [*path, *final_lap[1:]]
    return sum(edges(u, v) for u, v in pairwise(stations))
