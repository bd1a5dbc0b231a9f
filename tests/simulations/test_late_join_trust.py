"""Who joins late among nodes that do not all share with it: whom it asks, and what it does unanswered."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.events import Adopt, Received
from p2pfl.membership import FixedMembership
from p2pfl.model import Model
from p2pfl.node import Node
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import Setup
from p2pfl.roster import GraphWiring
from p2pfl.trust import Trust
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.swarm import Swarm, member_ids
from simulations.training import add_one, by_function
from simulations.trust_lists import TrustLists

MEMBERS = member_ids(5)
LATE = MEMBERS[3]
OTHERS = frozenset(MEMBERS) - {LATE}
ROUNDS, JOIN_S = 40, 10.2


class Run:
    """A full mesh, or the graph of the lists, in which a node comes late; who is asked is counted."""

    def __init__(self, lists: TrustLists, *, is_graph: bool) -> None:
        self.lists = lists
        self.wiring = None if is_graph else GraphWiring(MEMBERS, topologies.static(topologies.full_mesh(5)))
        self.asked: Counter[str] = Counter()
        self.adopted: list[Adopt] = []
        everybody = {m: tuple(other for other in MEMBERS if other != m) for m in MEMBERS}
        self.simulator = EventSimulator(
            Swarm(MEMBERS, everybody, self._node, lists=lists),
            train=by_function(add_one),
            network=Network(latency_s=0.01),
            down=[LATE],
            watch=lambda member, adopt, _: self.adopted.append(adopt) if member == LATE else None,
        )
        self.simulator.join(LATE, at_s=JOIN_S)

    def _node(self, member: str, linked: frozenset[str]) -> Node:
        model = Model(np.zeros(2, np.float32))
        setup = Setup(member, MEMBERS.index(member), model, 0, ROUNDS, partial(aggregate, mean))
        protocol = GossipAveraging(setup, round_timeout_s=5.0)
        handle = protocol.handle

        def counted(event: object, now_s: float) -> object:
            if isinstance(event, Received) and event.message.kind == "join":
                self.asked[member] += 1
            return handle(event, now_s)  # type: ignore[arg-type]

        protocol.handle = counted  # type: ignore[method-assign,assignment]
        return Node(
            member,
            protocol=protocol,
            membership=FixedMembership(dict.fromkeys(MEMBERS, ""), linked),
            wiring=None if self.wiring is None else lambda _: self.wiring,  # type: ignore[arg-type,return-value]
            trust=self.lists.of(member),
            min_members=1,
            settle_s=1.0,
        )


def lists_in_which(share: frozenset[str], accepted: frozenset[str]) -> TrustLists:
    """``share`` share with the late node, which accepts ``accepted``; else all trust each other."""
    trusts = {m: Trust(OTHERS | {LATE}, OTHERS | ({LATE} if m in share else frozenset())) for m in OTHERS}
    return TrustLists({**trusts, LATE: Trust(accepted, OTHERS)})


def test_where_trust_is_the_graph_only_one_who_shares_and_is_accepted_is_asked() -> None:
    lists = lists_in_which(share=frozenset(MEMBERS[1:3]), accepted=frozenset(MEMBERS[:2]))
    run = Run(lists, is_graph=True)
    run.simulator.run(until_s=500.0)

    assert run.asked == {MEMBERS[1]: 1}
    assert run.adopted[0].merged == (MEMBERS[1],)
    assert run.adopted[0].round >= JOIN_S - 2
    assert set(run.simulator.finished) == set(MEMBERS)
    assert {each for adopt in run.adopted for each in adopt.merged} == {MEMBERS[1]}


@pytest.mark.parametrize("share", [frozenset[str](), frozenset(MEMBERS[4:])], ids=["nobody", "the last"])
def test_who_may_not_share_is_asked_in_vain_and_then_the_next_and_then_one_starts_fresh(
    share: frozenset[str],
) -> None:
    run = Run(lists_in_which(share, accepted=OTHERS), is_graph=False)
    run.simulator.run(until_s=500.0)

    assert max(run.asked.values()) == 1
    assert sum(run.asked.values()) <= 3
    assert set(run.simulator.finished) == set(MEMBERS)
    assert {each for adopt in run.adopted for each in adopt.merged} == share
    assert run.adopted[0].merged == tuple(share)
    assert run.adopted[0].model.age >= (JOIN_S - 2 if share else 1)
