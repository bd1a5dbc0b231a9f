"""Gossip averaging when a node was stopped, away or apart, and when all have finished."""

import pytest

from p2pfl.events import (
    Adopt,
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
from p2pfl.model import Snapshot
from p2pfl.protocols.gossip_averaging import GossipAveraging
from tests.p2pfl.protocols.driver import Graph, full_mesh, setup_of, view_of
from tests.p2pfl.protocols.test_gossip_averaging import VALUE, adopted, heard, kinds, model, started


def test_a_node_from_which_some_are_far_ahead_takes_their_round_and_keeps_its_own_model() -> None:
    protocol = started(rounds=60)
    heard(protocol, "b", 0)
    heard(protocol, "c", 0)
    protocol.handle(Trained(model(1.0)), 0.0)  # it has a history now: nobody is asked
    heard(protocol, "b", 50)
    heard(protocol, "c", 1)
    effects = protocol.handle(Trained(model(2.0)), 0.0)

    assert protocol.snapshot().values["round"] == 50
    assert kinds(effects)[-1] is Train
    assert "join" not in [e.message.kind for e in effects if isinstance(e, Send)]
    assert protocol.snapshot().arrays["model"] == pytest.approx((2.0 + VALUE["c"] + 2.0) / 3)


def test_a_restored_node_that_is_far_behind_averages_its_model_with_that_of_a_peer_by_age() -> None:
    protocol = GossipAveraging(setup_of("a", 60))
    aged = Snapshot({**protocol.snapshot().values, "round": 10, "age": 10}, {"model": model(5.0).params})
    protocol.restore(aged)
    protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc")), 0.0)
    protocol.handle(Started(), 0.0)
    for sender in "bc":
        heard(protocol, sender, 30)
    asked = protocol.handle(Trained(model(5.0, 11)), 0.0)
    assert [e.to for e in asked if isinstance(e, Send) and e.message.kind == "join"] == ["b"]

    answer = Message("current_model", 33, model(1.0, 33))
    taken = adopted(protocol.handle(Received("b", answer), 0.0))

    assert (taken.round, taken.model.age, taken.merged) == (33, 33, ("b",))
    assert taken.model.params == pytest.approx((11 * 5.0 + 33 * 1.0) / 44)


def test_who_was_stopped_while_it_waited_leaves_nobody_out_for_that() -> None:
    protocol = started(timeout_s=5.0)
    (timer,) = [e for e in protocol.handle(Trained(model(1.0)), 1.0) if isinstance(e, SetTimer)]
    late = protocol.handle(TimerFired(timer.name), 3600.0)  # suspended for an hour
    (again,) = [effect for effect in late if isinstance(effect, SetTimer)]
    assert not any(isinstance(effect, Adopt) for effect in late)

    heard_b = protocol.handle(Received("b", Message("model", 0, model(4.0))), 3600.1)
    heard_c = protocol.handle(Received("c", Message("model", 0, model(7.0))), 3600.2)

    assert again.delay_s <= 5.0
    assert heard_b == []
    assert adopted(heard_c).missing == ()


def test_who_is_stopped_again_and_again_goes_on_all_the_same() -> None:
    protocol, now_s, waits = started(timeout_s=5.0), 0.0, 0
    effects = protocol.handle(Trained(model(1.0)), now_s)
    while not any(isinstance(effect, Adopt) for effect in effects):
        (timer,) = [effect for effect in effects if isinstance(effect, SetTimer)]
        now_s += timer.delay_s + 60.0
        effects = protocol.handle(TimerFired(timer.name), now_s)
        waits += 1
        assert waits < 5
    assert adopted(effects).missing == ("b", "c")


def test_words_between_finished_nodes_find_no_echo() -> None:
    pair = {me: started(me, rounds=2, graph=Graph([("a", "b")])) for me in "ab"}
    for number in range(2):
        for me, other in ("ab", "ba"):
            heard(pair[me], other, number)
            pair[me].handle(Trained(model(1.0)), 0.0)
    mail = [("a", Message(kind, number)) for kind in ("waiting", "ahead", "join") for number in range(4)]
    said = 0
    while mail:
        to, message = mail.pop()
        effects = pair[to].handle(Received("b" if to == "a" else "a", message), 9.0)
        answers = [(e.to, e.message) for e in effects if isinstance(e, Send)]
        said, mail = said + len(answers), [*mail, *answers]
        assert said <= 12


def test_who_comes_late_is_answered_once_per_link_also_by_one_that_has_finished() -> None:
    finished = started(rounds=1, members="ab")
    heard(finished, "b", 0)
    finished.handle(Trained(model(1.0)), 0.0)
    question = Received("b", Message("join", 0))

    def answers() -> int:
        return sum(
            e.message.kind == "current_model" for e in finished.handle(question, 1.0) if isinstance(e, Send)
        )

    assert [answers(), answers()] == [1, 0]
    for live in ("a", "ab"):  # it has been restarted, without its memory
        finished.handle(PeersChanged(view_of("a", full_mesh("ab"), "ab", live)), 2.0)
    assert [answers(), answers()] == [1, 0]


def test_in_a_round_of_thirty_seconds_nobody_says_more_than_twice_a_second_that_it_waits() -> None:
    protocol, now_s, words = started(timeout_s=30.0), 0.0, 0
    effects = protocol.handle(Trained(model(1.0)), now_s)
    while not any(isinstance(effect, Adopt) for effect in effects):
        now_s += max([effect.delay_s for effect in effects if isinstance(effect, SetTimer)])
        effects = protocol.handle(TimerFired("gossip.round.0"), now_s)
        words += sum(e.message.kind == "waiting" and e.to == "b" for e in effects if isinstance(e, Send))
    assert now_s == pytest.approx(30.0)
    assert 10 <= words <= 60
