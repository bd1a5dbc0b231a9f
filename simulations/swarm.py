"""The nodes of a simulation: who they are, who has a link with whom, and how a fresh one is made."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from p2pfl.membership import FixedMembership
from p2pfl.model import Model
from p2pfl.node import Node
from p2pfl.peer.linking import FULL_LINKING
from p2pfl.protocols.protocol import Aggregate, ExchangeProtocol, Setup
from p2pfl.roster import GraphWiring, Schedule
from simulations.trust_lists import TrustLists


@dataclass(frozen=True, slots=True, eq=False)
class Swarm:
    """What the event simulator brings to life.

    ``links`` names, for each member, those it has a link with (both ways).  ``make_node(member, linked)``
    gives a node that has not begun, with links up to ``linked``.  Where nodes exchange heartbeats they hear
    of every link after their start, and of the incarnation of whoever is at its other end; likewise where
    they have ``lists``, of which a link tells.
    """

    members: tuple[str, ...]
    links: Mapping[str, tuple[str, ...]]
    make_node: Callable[[str, frozenset[str]], Node]
    has_heartbeats: bool = False
    incarnation_of: Callable[[str], int] = lambda _: 0
    lists: TrustLists = field(default_factory=TrustLists)

    @property
    def is_introduced(self) -> bool:
        """Do nodes begin without links, and hear of each?"""
        return self.has_heartbeats or bool(self.lists.trusts)


def member_ids(nodes: int) -> tuple[str, ...]:
    """Ids of simulated nodes: zero-padded numbers, so that sorted order is graph order."""
    return tuple(f"{number:05d}" for number in range(nodes))


def links_of(wiring: GraphWiring, rounds: int = 1) -> dict[str, tuple[str, ...]]:
    """Who has a link with whom, as daemons have it: all pairs of a small network, else the neighbours.

    Neighbours are those who exchange models in the first ``rounds`` rounds; a static graph needs one.
    """
    if len(wiring.members) <= FULL_LINKING:
        everyone = sorted(wiring.members)
        return {member: tuple(m for m in everyone if m != member) for member in wiring.members}
    linked: dict[str, set[str]] = {member: set() for member in wiring.members}
    for current in range(rounds):
        for member in wiring.members:
            for other in wiring.neighbourhood(current, member).send_to:
                linked[member].add(other)
                linked[other].add(member)
    return {member: tuple(sorted(others)) for member, others in linked.items()}


def make_swarm(
    members: Sequence[str],
    schedule: Schedule | TrustLists,
    make_protocol: Callable[[Setup], ExchangeProtocol],
    *,
    models: Mapping[str, Model],
    rounds: int,
    aggregate: Aggregate,
    seed: int = 0,
    links: Mapping[str, tuple[str, ...]] | None = None,
) -> Swarm:
    """Nodes that run one protocol over one graph, or one-way trust, with a roster that never changes.

    ``models`` are the starting points; ``links`` default to ``links_of`` the graph.  The place
    of a member addresses its random draws.  A member whose lists name nobody begins alone.
    """
    lists = schedule if isinstance(schedule, TrustLists) else TrustLists()
    wiring = None if isinstance(schedule, TrustLists) else GraphWiring(members, schedule)
    numbers = {member: number for number, member in enumerate(members)}
    roster = {member: member for member in sorted(members)}
    starts: Counter[str] = Counter()

    def make_node(member: str, linked: frozenset[str]) -> Node:
        starts[member] += 1
        setup = Setup(member, numbers[member], models[member], seed, rounds, aggregate, start=starts[member])
        membership = FixedMembership(roster, linked)
        return Node(
            member,
            protocol=make_protocol(setup),
            membership=membership,
            wiring=None if wiring is None else lambda _: wiring,
            trust=lists.of(member),
            min_members=1 if wiring or not lists.of(member).listed(frozenset()) else 2,
        )

    if links is None:
        links = lists.links(members) if wiring is None else links_of(wiring)
    return Swarm(tuple(members), links, make_node, lists=lists)
