import numpy as np
import pytest

from p2pfl.events import Message, Received, Started
from p2pfl.membership import LinkUp
from p2pfl.model import Model, Snapshot
from p2pfl.node import Node, Settle
from p2pfl.replay import MAX_MARKS, Marks
from p2pfl.trust import Trust, TrustChanged
from tests.p2pfl.test_node import MODEL, Recorder, make_node


def test_what_is_not_above_the_mark_is_a_repetition() -> None:
    marks = Marks()
    marks.move("b", 2, 10)

    repeated = [marks.is_repeated("b", *each) for each in [(2, 10), (2, 9), (1, 99), (2, 11), (3, 1)]]
    assert repeated == [True, True, True, False, False]
    assert not marks.is_repeated("c", 1, 1)


def test_sequence_0_is_none_and_never_a_repetition() -> None:
    marks = Marks()
    marks.move("b", 0, 0)
    marks.move("b", 2, 10)
    marks.move("b", 0, 0)

    assert not marks.is_repeated("b", 0, 0)
    assert marks.mark("b") == (2, 10)


def test_the_table_has_an_end_and_whoever_was_heard_longest_ago_gives_way() -> None:
    marks = Marks()
    for number in range(MAX_MARKS):
        marks.move(f"p{number}", 1, 1)
    marks.move("p0", 1, 2)
    marks.move("new", 1, 1)

    assert len(marks.senders) == MAX_MARKS
    assert {"p0", "new"} <= marks.senders
    assert "p1" not in marks.senders


def test_marks_survive_a_snapshot_and_an_older_one_has_none() -> None:
    marks, again = Marks(), Marks()
    marks.move("b", 2, 10)
    marks.move("c", 1, 3)
    again.restore(dict(marks.values()))

    assert (again.mark("b"), again.mark("c")) == ((2, 10), (1, 3))
    again.restore({})
    assert again.mark("b") == (2, 10)


def received(number: int, sender: str = "b", start: int = 1) -> Received:
    return Received(sender, Message("model", number, MODEL), start, number)


def running(recorder: Recorder, trust: Trust | None = None, snapshot: Snapshot | None = None) -> Node:
    node = make_node(recorder, trust=trust, min_members=2)
    if snapshot is not None:
        node.restore(snapshot)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    assert node.is_running
    return node


def taken(recorder: Recorder) -> list[tuple[str, int, int]]:
    events = [event for event in recorder.events if isinstance(event, Received)]
    return [(event.sender, event.start, event.sequence) for event in events]


def test_of_10000_deliveries_none_is_merged_twice_not_even_after_a_restart() -> None:
    rng = np.random.default_rng(8)
    sequences = [int(number) for number in np.arange(7000) + rng.integers(-20, 20, 7000) if number > 0]
    sequences += [int(number) for number in rng.integers(1, 7000, 3000)]
    order = np.argsort(np.arange(len(sequences)) + rng.integers(0, 60, len(sequences)))
    recorder = Recorder()
    node = running(recorder)
    for place, index in enumerate(order):
        if place == len(order) // 2:
            stored = node.snapshot()
            before = taken(recorder)
            recorder = Recorder()
            node = running(recorder, snapshot=stored)
        node.handle(received(sequences[index]), 1.0)

    both = before + taken(recorder)
    assert len(both) == len(set(both))
    assert both == sorted(both)
    assert len(before) > 100
    assert len(taken(recorder)) > 10
    assert node.refused["duplicate"] > 1000


def test_the_offer_and_the_message_are_judged_alike_and_the_verdict_is_told() -> None:
    node = running(Recorder())

    assert node.objection("b", start=1, sequence=5) is None
    assert Settle("b", 5, "kept") in node.handle(received(5), 1.0)
    objection = node.objection("b", start=1, sequence=5)
    assert objection is not None
    assert objection.code == "duplicate"
    assert node.handle(received(5), 1.0) == [Settle("b", 5, "duplicate")]


def test_an_offer_moves_no_mark() -> None:
    node = running(Recorder())

    for _ in range(3):
        assert node.objection("b", start=1, sequence=5) is None


@pytest.mark.parametrize(
    ("model", "code"),
    [(MODEL, "kept"), (Model(np.array([1, np.nan], np.float32)), "not_finite")],
    ids=["good", "bad"],
)
def test_the_verdict_on_numbers_comes_with_the_body(model: Model, code: str) -> None:
    node = running(Recorder())

    effects = node.handle(Received("b", Message("model", 0, model), 1, 1), 1.0)

    assert effects[0] == Settle("b", 1, code)


def test_a_muted_sender_is_told_so_before_it_sends() -> None:
    node = running(Recorder())
    bad = Model(np.array([1, np.nan], np.float32))
    for number in (1, 2, 3):
        node.handle(Received("b", Message("model", 0, bad), 1, number), 1.0)

    objection = node.objection("b", start=1, sequence=4)
    assert objection is not None
    assert objection.code == "muted"


def test_trust_that_ends_between_offer_and_body_keeps_the_body_out() -> None:
    recorder = Recorder()
    node = running(recorder)
    assert node.objection("b", start=1, sequence=5) is None

    node.handle(TrustChanged(Trust(accept_from=frozenset("c"))), 1.0)

    assert node.handle(received(5), 1.0) == [Settle("b", 5, "not_trusted")]
    assert taken(recorder) == []


def test_trust_that_ends_after_a_model_came_in_is_told_to_the_protocol_also_after_a_restart() -> None:
    recorder = Recorder()
    node = running(recorder)
    node.handle(received(5), 1.0)
    strict = Trust(accept_from=frozenset("c"))

    stored = node.snapshot()
    node.handle(TrustChanged(strict), 1.0)
    again = running(Recorder(), trust=strict, snapshot=stored)

    for each in (node, again):
        assert each.view is not None
        assert each.view.refused == {"b"}
        assert "b" not in each.view.accepted
