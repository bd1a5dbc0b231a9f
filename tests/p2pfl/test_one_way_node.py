"""A node where trust is the graph: its edges come from its lists and from the words of linked peers.

At the end a state machine: links, lists, messages and trainings in any order, and the two rules of one-way
trust.
"""

from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.barrier import SETTLE_TIMER
from p2pfl.events import Message, Received, Send, SetTimer, Started, TimerFired, Train, Trained
from p2pfl.membership import FixedMembership, LinkDown, LinkUp
from p2pfl.node import NodeEffect, NodeInput
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import Setup
from p2pfl.trust import Trust, TrustChanged
from tests.p2pfl.stamps import Observer, WatchedNode

MEMBERS = ("a", "b", "c", "d")
OTHERS = MEMBERS[1:]
ROUNDS = 50


def make_node(trust: Trust, observer: Observer | None = None, *, min_members: int = 2) -> WatchedNode:
    observer = observer or Observer(MEMBERS, "gossip_averaging")
    setup = Setup("a", 0, observer.start(), 0, ROUNDS, partial(aggregate, mean))
    node = WatchedNode(
        "a",
        protocol=GossipAveraging(setup),
        membership=FixedMembership(dict.fromkeys(MEMBERS, ""), frozenset()),
        wiring=None,
        trust=trust,
        min_members=min_members,
    )
    return node.watch(observer)


def lists(accept_from: str, share_with: str) -> Trust:
    return Trust(frozenset(accept_from), frozenset(share_with))


def edges(node: WatchedNode) -> tuple[tuple[str, ...], dict[str, float]]:
    assert node.view is not None
    hood = node.view.neighbourhood(0)
    return hood.send_to, dict(hood.receive_weights)


def test_an_edge_needs_a_link_our_list_and_the_word_of_the_peer() -> None:
    node = make_node(lists("bc", "cd"))
    node.handle(Started(), 0.0)
    node.handle(LinkUp("b", 1, accepts_us=True, shares_with_us=True), 0.1)
    node.handle(LinkUp("c", 1, accepts_us=True, shares_with_us=False), 0.2)
    node.handle(LinkUp("d", 1, accepts_us=False, shares_with_us=True), 0.3)

    assert edges(node) == (("c",), {"b": 0.5})
    node.handle(LinkUp("c", 1, accepts_us=True, shares_with_us=True), 0.4)  # it has changed its lists
    assert edges(node) == (("c",), {"b": 1 / 3, "c": 1 / 3})
    node.handle(TrustChanged(lists("c", "bcd")), 0.5)
    assert edges(node) == (("b", "c"), {"c": 0.5})
    node.handle(LinkDown("c"), 0.6)
    assert edges(node) == (("b",), {})


def test_a_node_begins_with_a_neighbour_when_all_listed_are_linked_or_have_had_time() -> None:
    node = make_node(lists("bc", ""))
    node.handle(Started(), 0.0)
    assert not node.handle(LinkUp("d", 1), 0.1)  # linked, but no neighbour
    waiting = node.handle(LinkUp("b", 1), 0.2)
    assert [e.name for e in waiting if isinstance(e, SetTimer)] == [SETTLE_TIMER]
    assert not node.is_running

    begun = make_node(lists("bc", ""))
    for event in (Started(), LinkUp("b", 1), LinkUp("c", 1)):
        begun.handle(event, 0.2)
    node.handle(TimerFired(SETTLE_TIMER), 3.2)

    assert begun.is_running
    assert node.is_running


def test_whom_lists_name_is_near_even_before_there_is_a_link() -> None:
    node = make_node(lists("b", "c"))
    node.handle(Started(), 0.0)

    assert node.near(0) == {"b", "c"}


class TrustMachine(RuleBasedStateMachine):
    """One node of gossip averaging among three others; the observer raises when a rule is broken."""

    @initialize()
    def begin(self) -> None:
        self.observer = Observer(MEMBERS, "gossip_averaging")
        self.trust = lists("b", "c")
        self.node = make_node(self.trust, self.observer, min_members=1)
        self.linked: set[str] = set()
        self.training: Train | None = None
        self.round = 0
        self.tell(Started())
        self.tell(TimerFired(SETTLE_TIMER))

    def tell(self, event: NodeInput) -> None:
        for effect in self.node.handle(event, 0.0):
            self.note(effect)

    def note(self, effect: NodeEffect) -> None:
        match effect:
            case Train():
                self.training = effect
            case Send(_, Message(kind="model", round=number)):
                self.round = number

    @rule(peer=st.sampled_from(OTHERS), accept=st.booleans(), share=st.booleans())
    def add(self, peer: str, accept: bool, share: bool) -> None:
        accepted = (self.trust.accept_from or frozenset()) | (frozenset({peer}) if accept else frozenset())
        shared = (self.trust.share_with or frozenset()) | (frozenset({peer}) if share else frozenset())
        self.change(Trust(accepted, shared, deny=self.trust.deny))

    @rule(peer=st.sampled_from(OTHERS), accept=st.booleans(), share=st.booleans())
    def remove(self, peer: str, accept: bool, share: bool) -> None:
        accepted = (self.trust.accept_from or frozenset()) - (frozenset({peer}) if accept else frozenset())
        shared = (self.trust.share_with or frozenset()) - (frozenset({peer}) if share else frozenset())
        self.change(Trust(accepted, shared, deny=self.trust.deny))

    @rule(denied=st.frozensets(st.sampled_from(OTHERS), max_size=1))
    def deny(self, denied: frozenset[str]) -> None:
        self.change(Trust(self.trust.accept_from, self.trust.share_with, deny=denied))

    def change(self, trust: Trust) -> None:
        self.trust = trust
        self.tell(TrustChanged(trust))

    @rule(peer=st.sampled_from(OTHERS), accepts=st.booleans(), shares=st.booleans())
    def link_up(self, peer: str, accepts: bool, shares: bool) -> None:
        self.linked.add(peer)
        self.tell(LinkUp(peer, 1, accepts_us=accepts, shares_with_us=shares))

    @rule(peer=st.sampled_from(OTHERS))
    def link_down(self, peer: str) -> None:
        self.linked.discard(peer)
        self.tell(LinkDown(peer))

    @rule(peer=st.sampled_from(OTHERS), ahead=st.integers(0, 2))
    def offer(self, peer: str, ahead: int) -> None:
        self.tell(Received(peer, Message("model", self.round + ahead, self.observer.start())))

    @precondition(lambda self: self.training is not None)
    @rule()
    def train(self) -> None:
        assert self.training is not None
        trained, self.training = self.observer.train("a", self.training.model), None
        self.tell(Trained(trained))

    @rule()
    def merge(self) -> None:
        """The round is overdue: who has not sent is waited for no longer."""
        for number in (self.round, self.round + 1):
            self.tell(TimerFired(f"gossip.round.{number}"))

    @invariant()
    def edges_go_to_linked_and_listed_peers(self) -> None:
        view = getattr(self, "node", None) and self.node.view
        if view:
            hood = view.neighbourhood(0)
            listed = (self.trust.share_with or frozenset()) - self.trust.deny
            accepted = (self.trust.accept_from or frozenset()) - self.trust.deny
            assert set(hood.send_to) <= listed & self.linked
            assert set(hood.receive_weights) <= accepted & self.linked


TestTrustMachine = TrustMachine.TestCase
TestTrustMachine.settings = settings(stateful_step_count=30)
