"""Two independent lists, and what a node does when they change while it runs."""

from p2pfl.events import Message, PeersChanged, Received, Started
from p2pfl.membership import LinkUp
from p2pfl.trust import Trust, TrustChanged
from tests.p2pfl.test_node import MODEL, Recorder, make_node, names

NOBODY: frozenset[str] = frozenset()


def test_neither_list_follows_from_the_other_and_either_one_admits() -> None:
    trust = Trust(frozenset("a"), frozenset("b"), observers=frozenset("o"), deny=frozenset("d"))

    assert [trust.accepts(peer) for peer in "abodx"] == [True, False, False, False, False]
    assert [trust.shares_with(peer) for peer in "abodx"] == [False, True, False, False, False]
    assert [trust.admits(peer) for peer in "abodx"] == [True, True, True, False, False]


def test_who_has_proved_the_network_key_is_on_both_lists_unless_denied() -> None:
    trust = Trust(NOBODY, NOBODY, deny=frozenset("d"), proved=frozenset("kd"))

    assert [trust.accepts(peer) and trust.shares_with(peer) for peer in "kdx"] == [True, False, False]
    assert trust.accepted(frozenset("kdx")) == {"k"}


def test_deny_overrides_even_lists_that_are_open_to_everybody() -> None:
    trust = Trust(deny=frozenset("d"))

    assert not trust.shares_with_everybody
    assert trust.accepted(frozenset("dx")) == {"x"}
    assert Trust().shares_with_everybody


def test_a_model_from_a_peer_that_is_struck_off_never_reaches_the_protocol_and_the_view_says_so() -> None:
    recorder = Recorder()
    node = make_node(recorder, trust=Trust(frozenset("b"), frozenset("b")), min_members=1)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    assert node.view is not None
    assert node.view.accepted == {"b"}

    node.handle(TrustChanged(Trust(NOBODY, frozenset("b"))), 0.2)
    node.handle(Received("b", Message("model", 0, MODEL)), 0.3)

    assert node.view.accepted == NOBODY
    assert isinstance(recorder.events[-1], PeersChanged)
    assert node.refused["not_trusted"] == 1


def test_what_was_held_of_a_peer_that_is_struck_off_is_dropped() -> None:
    recorder = Recorder()
    node = make_node(recorder, trust=Trust(frozenset("bc")), min_members=3)
    node.handle(Started(), 0.0)
    for sender in "bc":
        node.handle(LinkUp(sender, 1), 0.1)
        if sender == "b":
            node.handle(Received("b", Message("model", 0, MODEL)), 0.1)
            node.handle(Received("b", Message("ack", 0)), 0.1)
            node.handle(TrustChanged(Trust(frozenset("c"))), 0.1)

    assert node.is_running
    held = [event for event in recorder.events if isinstance(event, Received)]
    assert [event.message.kind for event in held] == ["ack"]


def test_lists_that_change_nothing_here_are_no_news_for_the_protocol() -> None:
    recorder = Recorder()
    node = make_node(recorder, trust=Trust(frozenset("b")), min_members=1)
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1), 0.1)
    before = names(recorder.events)

    assert node.handle(TrustChanged(Trust(frozenset("bx"))), 0.2) == []
    assert names(recorder.events) == before
