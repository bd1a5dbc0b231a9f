"""Nodes whose roster is what heartbeats and rumours say, in virtual time: ``Membership``, as daemons have it.

The graph over the members that are thought alive is the part of the whole graph that they span: on a
constant schedule with mixing weights of its own, on any other with the weight of those who are gone returned
to the node itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import topologies
from p2pfl.barrier import SETTLE_S
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.membership import TOMBSTONE_S, Membership, Rumour, State, Timing
from p2pfl.model import Model
from p2pfl.node import Node
from p2pfl.peer.linking import FULL_LINKING, ring_links
from p2pfl.protocols.protocol import Aggregate, ExchangeProtocol, Setup
from p2pfl.roster import GraphWiring, SparseWeights
from simulations.churn import DURATION
from simulations.swarm import Swarm, links_of
from simulations.trust_lists import TrustLists
from topologies.schedules import Static

KEPT_GRAPHS = 64  # rosters whose graphs are kept, for all nodes together
MIN_MEMBERS = 2  # the start barrier of whoever comes later

Weights = NDArray[np.float64] | SparseWeights


@dataclass(frozen=True, slots=True)
class Gossip:
    """Periods of the failure detector, and the start barrier (0: all that are there from the beginning).

    ``silence_s`` and ``suspicion_s`` follow from ``heartbeat_s`` unless they are given.  ``late`` are members
    that are not there at the beginning.
    """

    heartbeat_s: float = 1.0
    silence_s: float | None = None
    suspicion_s: float | None = None
    tombstone_s: float = TOMBSTONE_S
    settle_s: float = SETTLE_S
    min_members: int = 0
    late: frozenset[str] = frozenset()

    @property
    def timing(self) -> Timing:
        """The periods, those that were not given included."""
        usual = Timing.of(self.heartbeat_s)
        silence_s = usual.silence_s if self.silence_s is None else self.silence_s
        suspicion_s = usual.suspicion_s if self.suspicion_s is None else self.suspicion_s
        return Timing(self.heartbeat_s, silence_s, suspicion_s, self.tombstone_s)

    def check(self) -> None:
        """Refuse periods that do not fit each other."""
        silence_s = self.timing.silence_s
        if silence_s <= self.heartbeat_s:
            raise ConfigError(
                f"silence_s = {silence_s:g} is over before the next heartbeat, after {self.heartbeat_s:g} s",
                where="membership.silence_s",
                fix=f"silence_s = {Timing.of(self.heartbeat_s).silence_s:g}, or leave it out",
            )


def membership_from(found: object) -> Gossip | None:
    """``"fixed"`` (None), ``"gossip"`` or a table ``{"name": "gossip", ...}``; raises ConfigError."""
    if isinstance(found, Gossip) or found is None:
        return found
    options = dict(found) if isinstance(found, Mapping) else {"name": found}
    name = options.pop("name", "gossip")
    if name not in ("fixed", "gossip"):
        raise unknown_name("membership", str(name), ("fixed", "gossip"), where="membership")
    known = [field.name for field in fields(Gossip) if field.name != "late"] if name == "gossip" else []
    for key, value in options.items():
        where = f"membership.{key}"
        if key not in known:
            raise unknown_name(f"option of membership {name!r}:", str(key), known or ["(none)"], where=where)
        if key != "min_members":
            DURATION.demand(value, where)
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"min_members must be a whole number from 0, not {value!r}", where=where)
    if name == "fixed":
        return None
    gossip = Gossip(**options)  # type: ignore[arg-type]  # checked above
    gossip.check()
    return gossip


def make_gossip_swarm(
    members: Sequence[str],
    schedule: topologies.Schedule | TrustLists,
    make_protocol: Callable[[Setup], ExchangeProtocol],
    *,
    models: Mapping[str, Model],
    rounds: int,
    aggregate: Aggregate,
    seed: int = 0,
    gossip: Gossip,
) -> Swarm:
    """As ``make_swarm``, with rosters that change by rumours."""
    lists = schedule if isinstance(schedule, TrustLists) else TrustLists()
    wirings = None if isinstance(schedule, TrustLists) else _Wirings(members, schedule)
    numbers = {member: number for number, member in enumerate(members)}
    lives: dict[str, Membership] = {}
    timing = gossip.timing

    def make_node(member: str, linked: frozenset[str]) -> Node:  # noqa: ARG001  # hears of every link
        is_first = member not in lives and member not in gossip.late
        # A new life must override what was said of the one before.
        incarnation = lives[member].incarnation + 1 if member in lives else 1
        setup = Setup(member, numbers[member], models[member], seed, rounds, aggregate, start=incarnation)
        lives[member] = Membership(Rumour(member, incarnation, State.ALIVE, member), timing)
        return Node(
            member,
            protocol=make_protocol(setup),
            membership=lives[member],
            wiring=None if wirings is None else wirings.over,
            trust=lists.of(member),
            min_members=(gossip.min_members or len(members) - len(gossip.late)) if is_first else MIN_MEMBERS,
            settle_s=gossip.settle_s,
        )

    links = lists.links(members) if wirings is None else gossip_links(wirings.whole)
    return Swarm(
        tuple(members),
        links,
        make_node,
        has_heartbeats=True,
        incarnation_of=lambda member: lives[member].incarnation,
        lists=lists,
    )


def gossip_links(wiring: GraphWiring) -> dict[str, tuple[str, ...]]:
    """Who has a link with whom: as ``links_of``, and a few more, so that rumours reach all."""
    links = {member: set(others) for member, others in links_of(wiring).items()}
    if len(links) > FULL_LINKING:
        for member, others in ring_links(wiring.members).items():
            links[member] |= others
    return {member: tuple(sorted(others)) for member, others in links.items()}


class _Wirings:
    """The graph over each roster that occurs, made once for all nodes."""

    def __init__(self, members: Sequence[str], schedule: topologies.Schedule) -> None:
        self._members = tuple(members)
        self._schedule = schedule
        self._kept: dict[tuple[str, ...], GraphWiring] = {}

    @property
    def whole(self) -> GraphWiring:
        """The graph over all members."""
        return GraphWiring(self._members, self._schedule)

    def over(self, roster: Mapping[str, str]) -> GraphWiring:
        """The graph over a roster, in the order of the whole graph."""
        present = tuple(member for member in self._members if member in roster)
        found = self._kept.pop(present, None)
        if found is None:
            places = [place for place, member in enumerate(self._members) if member in roster]
            found = GraphWiring(present, _part(self._schedule, places))
            if len(self._kept) >= KEPT_GRAPHS:
                del self._kept[next(iter(self._kept))]
        self._kept[present] = found  # the latest last
        return found


def _part(schedule: topologies.Schedule, places: list[int]) -> topologies.Schedule:
    if not isinstance(schedule, Static):
        return _Part(schedule, places)
    whole = schedule.fixed_graph
    if len(places) == len(whole):
        return schedule
    names = list(whole)
    present = [names[place] for place in places]
    part = whole.__class__()
    part.add_nodes_from(present)
    part.add_edges_from(whole.subgraph(present).edges)
    return topologies.static(part, sparse=sparse.issparse(schedule.fixed_weights))


class _Part:
    """A schedule over some of its nodes."""

    def __init__(self, schedule: topologies.Schedule, places: list[int]) -> None:
        self._schedule = schedule
        self._places = places

    def graph(self, round: int) -> nx.Graph:
        """The part of the graph of a round."""
        return self._schedule.graph(round).subgraph(self._places)

    def weights(self, round: int) -> Weights:
        """W of a round without those who are gone; their weight returns to each receiver itself."""
        whole = self._schedule.weights(round)
        if isinstance(whole, np.ndarray):
            part = whole[np.ix_(self._places, self._places)]
            part[np.diag_indices_from(part)] += 1 - part.sum(axis=1)
            return part
        part = sparse.csr_array(whole)[self._places][:, self._places]
        back = 1 - np.asarray(part.sum(axis=1)).ravel()
        made: SparseWeights = (part + sparse.diags_array(back)).tocsr()
        return made
