from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest

from p2pfl.barrier import MAX_HELD, MAX_HELD_MODELS, SETTLE_TIMER
from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Message,
    PeersChanged,
    Received,
    Send,
    SetTimer,
    Started,
    TimerFired,
    Train,
    Trained,
)
from p2pfl.membership import HEARTBEAT_TIMER, Heard, Heartbeat, LinkDown, LinkUp, Membership, Rumour, State
from p2pfl.model import Model, Snapshot
from p2pfl.node import Node
from p2pfl.roster import GraphWiring
from p2pfl.trust import Trust
from p2pfl.wire.limits import Limits

MODEL = Model(np.zeros(2, np.float32))


class Recorder:
    """A protocol that writes down what it is told and answers a message with its model."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = {"model": (1, "float32")}

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.restored: Snapshot | None = None

    @staticmethod
    def default_rounds(nodes: int) -> int:
        return nodes

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        self.events.append(event)
        match event:
            case Started():
                return [Train(MODEL)]
            case Received(sender, _):
                return [Send(sender, Message("model", 0, MODEL)), Send(sender, Message("ack", 0))]
            case _:
                return []

    def snapshot(self) -> Snapshot:
        return Snapshot({"round": 3}, {"params": MODEL.params})

    def restore(self, snapshot: Snapshot) -> None:
        self.restored = snapshot


class FullMesh:
    def __init__(self, count: int) -> None:
        self._weights = np.full((count, count), 1 / count)

    def weights(self, round: int) -> np.ndarray:
        return self._weights


def wire(roster: Mapping[str, str]) -> GraphWiring:
    return GraphWiring(tuple(roster), FullMesh(len(roster)))


def make_node(recorder: Recorder, *, trust: Trust | None = None, min_members: int = 3) -> Node:
    membership = Membership(Rumour("a", 1, State.ALIVE))
    return Node(
        "a", protocol=recorder, membership=membership, wiring=wire, trust=trust, min_members=min_members
    )


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_the_protocol_starts_when_enough_members_are_there_and_the_neighbours_linked() -> None:
    recorder = Recorder()
    node = make_node(recorder)

    first = node.handle(Started(), 0.0)
    assert [e.name for e in first if isinstance(e, SetTimer)] == [HEARTBEAT_TIMER]
    node.handle(LinkUp("b", 1), 0.1)
    heard_of_c = Heartbeat(1, b"", (Rumour("c", 1, State.ALIVE),))
    waiting = node.handle(Heard("b", heard_of_c), 0.2)
    assert SETTLE_TIMER in [e.name for e in waiting if isinstance(e, SetTimer)]
    assert not node.is_running

    effects = node.handle(LinkUp("c", 1), 0.3)

    assert node.is_running
    assert names(recorder.events) == ["PeersChanged", "Started"]
    assert Train(MODEL).model is next(e for e in effects if isinstance(e, Train)).model
    assert node.view is not None
    assert node.view.members == ("a", "b", "c")
    assert node.view.live == {"b", "c"}


def test_the_barrier_opens_after_the_settling_time_although_a_neighbour_is_not_linked() -> None:
    recorder = Recorder()
    node = make_node(recorder)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    node.handle(Heard("b", Heartbeat(1, b"", (Rumour("c", 1, State.ALIVE),))), 0.2)

    node.handle(TimerFired(SETTLE_TIMER), 3.2)

    assert node.is_running


def test_the_barrier_stays_closed_while_members_are_missing_however_long() -> None:
    recorder = Recorder()
    node = make_node(recorder)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)

    node.handle(TimerFired(SETTLE_TIMER), 100.0)

    assert not node.is_running
    assert recorder.events == []


def test_messages_that_come_before_the_start_are_kept_in_order_and_bounded() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=2)
    node.handle(Started(), 0.0)
    for number in range(MAX_HELD + 5):
        node.handle(Received("b", Message("model", number)), 0.0)

    node.handle(LinkUp("b", 1), 0.1)

    received = [e.message.round for e in recorder.events if isinstance(e, Received)]
    assert received == list(range(5, MAX_HELD + 5))


def test_of_the_models_that_come_before_the_start_the_last_few_of_each_sender_are_kept() -> None:
    """All would use up the memory for one sender's models: its link would stand still, and it seem dead."""
    recorder = Recorder()
    node = make_node(recorder, min_members=2)
    node.handle(Started(), 0.0)
    for number in range(2 * MAX_HELD_MODELS):
        node.handle(Received("b", Message("model", number, MODEL)), 0.0)
        node.handle(Received("c", Message("words", number)), 0.0)

    node.handle(LinkUp("b", 1), 0.1)

    received = [(e.sender, e.message.round) for e in recorder.events if isinstance(e, Received)]
    last = range(MAX_HELD_MODELS, 2 * MAX_HELD_MODELS)
    assert [number for sender, number in received if sender == "b"] == list(last)
    assert sum(sender == "c" for sender, _ in received) == 2 * MAX_HELD_MODELS
    assert Limits().held_models > MAX_HELD_MODELS


def test_a_restored_node_waits_for_the_members_it_knew_not_for_the_start_barrier() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=5)
    node.restore(Snapshot({"node.members": ["a", "b", "c"], "protocol.round": 3}, {}))
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    assert not node.is_running

    node.handle(LinkUp("c", 1), 0.2)

    assert node.is_running
    assert recorder.restored is not None
    assert recorder.restored.values == {"round": 3}


def test_a_restored_node_goes_on_without_a_member_that_stays_away() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=5)
    node.restore(Snapshot({"node.members": ["a", "b", "c"]}, {}))
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)

    node.handle(TimerFired(SETTLE_TIMER), 3.1)

    assert node.is_running


def test_a_snapshot_comes_back_as_it_was() -> None:
    recorder = Recorder()
    node = make_node(recorder)

    node.handle(Started(), 0.0)
    snapshot = node.snapshot()
    node.restore(snapshot)

    assert recorder.restored is not None
    assert recorder.restored.values == {"round": 3}
    assert recorder.restored.arrays["params"] is MODEL.params
    assert snapshot.values["node.members"] == ["a"]


def test_a_lost_link_changes_who_is_live_and_a_death_changes_the_graph() -> None:
    recorder = Recorder()
    node = make_node(recorder)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    node.handle(LinkUp("c", 1), 0.1)

    node.handle(LinkDown("b"), 1.0)
    for second in range(2, 12):
        node.handle(TimerFired(HEARTBEAT_TIMER), float(second))

    views = [e.view for e in recorder.events if isinstance(e, PeersChanged)]
    assert [(v.members, sorted(v.live)) for v in views] == [
        (("a", "b", "c"), ["b", "c"]),
        (("a", "b", "c"), ["c"]),
        (("a", "c"), ["c"]),
    ]


def test_a_model_from_a_sender_that_is_not_accepted_never_reaches_the_protocol_but_words_do() -> None:
    recorder = Recorder()
    node = make_node(recorder, trust=Trust(accept_from=frozenset("b")), min_members=1)
    node.handle(Started(), 0.0)

    node.handle(Received("c", Message("model", 0, MODEL)), 0.0)
    node.handle(Received("c", Message("model", 0, body=(np.zeros(2, np.uint8),))), 0.0)
    node.handle(Received("b", Message("model", 0, MODEL)), 0.0)
    node.handle(Received("c", Message("ack", 0)), 0.0)

    received = [e for e in recorder.events if isinstance(e, Received)]
    assert [(e.sender, e.message.kind) for e in received] == [("b", "model"), ("c", "ack")]
    assert node.refused["not_trusted"] == 2


def test_no_model_leaves_for_a_peer_that_may_not_have_it_but_words_do() -> None:
    recorder = Recorder()
    node = make_node(recorder, trust=Trust(share_with=frozenset("c")), min_members=1)
    node.handle(Started(), 0.0)

    effects = node.handle(Received("b", Message("model", 0, MODEL)), 0.0)

    assert [e.message.kind for e in effects if isinstance(e, Send)] == ["ack"]
    assert node.refused["not_shared"] == 1


def test_a_linked_peer_is_accepted_before_it_is_a_member() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=1)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    node.handle(Heard("b", Heartbeat(1, b"", (Rumour("b", 1, State.DEAD),))), 0.2)

    assert node.view is not None
    assert node.view.members == ("a",)
    assert node.view.accepted == {"a", "b"}


def test_timers_of_the_protocol_and_training_go_straight_through() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=1)
    node.handle(Started(), 0.0)

    node.handle(TimerFired("round"), 1.0)
    node.handle(Trained(MODEL), 2.0)

    assert names(recorder.events)[-2:] == ["TimerFired", "Trained"]


def test_peers_changed_is_the_nodes_own_to_make() -> None:
    recorder = Recorder()
    node = make_node(recorder, min_members=1)
    node.handle(Started(), 0.0)
    assert node.view is not None

    with pytest.raises(TypeError, match="its own"):
        node.handle(PeersChanged(node.view), 0.0)


def test_adopt_passes_the_gates() -> None:
    class Adopting(Recorder):
        def handle(self, event: Event, now_s: float) -> list[Effect]:
            return [Adopt(MODEL, 1)] if isinstance(event, Started) else []

    node = make_node(Adopting(), trust=Trust(share_with=frozenset()), min_members=1)

    assert [e.round for e in node.handle(Started(), 0.0) if isinstance(e, Adopt)] == [1]
