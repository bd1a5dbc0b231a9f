"""One node, pure: membership + trust gate + roster -> ``View``, and the exchange protocol that lives on it.

Peer and event simulator run the same ``Node``; neither composes anything itself.

Theory of operation.  The driver says ``Started`` once, when the process begins.  The protocol hears of it
later, behind the start barrier (``p2pfl.barrier``); messages that arrive earlier are held and handed over in
order.  A model, or any other array, from a sender that is not accepted at that moment never reaches the
protocol, and none leaves for a peer that may not have it; words (an acknowledgement) pass both ways, since
with one-way trust the answer comes from somebody whose models are not wanted.  What is not finite neither
enters nor leaves (``p2pfl.finiteness``), and what has come in once does not come in again (``p2pfl.replay``).
``objection`` says the same of a message that is only offered.

Where trust itself is the graph (``wiring=None``), this node sends to whom it shares with and who says that it
accepts it, and receives, with equal weights, from whom it accepts and who says that it shares; both as far as
they are linked.  Such a node begins when it has a neighbour, and those that its lists name are linked or have
had ``settle_s`` to come.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from p2pfl.barrier import SETTLE_S, SETTLE_TIMER, Barrier
from p2pfl.errors import RemoteError
from p2pfl.events import (
    Effect,
    Event,
    PeersChanged,
    Received,
    Send,
    Started,
    TimerFired,
    Trained,
    View,
)
from p2pfl.finiteness import REASONS, FiniteGate
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    MAX_MEMBERS,
    Active,
    Heard,
    LinkDown,
    LinkUp,
    Tell,
    Unreachable,
    roster_hash,
)
from p2pfl.membership import Input as MembershipInput
from p2pfl.membership import Output as MembershipOutput
from p2pfl.model import Array, Scalar, Snapshot
from p2pfl.protocols.protocol import ExchangeProtocol
from p2pfl.replay import Marks, RepeatedError
from p2pfl.roster import GraphWiring, TrustWiring, WiringFactory
from p2pfl.trust import Trust, TrustChanged, Words

KEPT = "kept"
MAX_MET = 4 * MAX_MEMBERS  # former members; beyond, those of whom no model came are forgotten
REFUSALS: Mapping[str, str] = {  # what is said to the sender of a model that is not wanted
    "not_trusted": "this node takes no models from you",
    "muted": "too many of your models were unfit",
    "not_finite": "it has parameters that are no numbers",
    "wrong_shape": "it has another number of parameters than ours",
    "too_large": "its parameters are far larger than ours",
    "duplicate": "a later message of yours has come before it",
}


@dataclass(frozen=True, slots=True)
class Settle:
    """What became of a message with arrays that has arrived: ``kept``, or why it did not come in."""

    sender: str
    sequence: int
    code: str


NodeInput: TypeAlias = Event | MembershipInput | TrustChanged
NodeEffect: TypeAlias = Effect | Tell | Settle


class Roster(Protocol):
    """What a node asks of its membership; ``Membership`` in the field, ``FixedMembership`` in simulations."""

    @property
    def roster(self) -> Mapping[str, str]:
        """Live members: id -> name; a new object whenever the ids change."""
        ...

    @property
    def linked(self) -> frozenset[str]:
        """Members with a link up to this node."""
        ...

    def start(self, now_s: float) -> list[MembershipOutput]:
        """Begin."""
        ...

    def handle(self, event: MembershipInput | TimerFired, now_s: float) -> list[MembershipOutput]:
        """React to a link, a heartbeat, or the heartbeat timer."""
        ...

    def touch(self, peer: str, now_s: float) -> None:
        """Something has arrived from a linked peer."""
        ...


@runtime_checkable
class Watching(Protocol):
    """A protocol that counts the models of rounds that it had left behind."""

    @property
    def late(self) -> Mapping[str, int]:
        """By sender."""
        ...


class Node:
    """Feeds one exchange protocol with what membership, trust and graph let through."""

    def __init__(
        self,
        me: str,
        *,
        protocol: ExchangeProtocol,
        membership: Roster,
        wiring: WiringFactory | None,
        trust: Trust | None = None,
        min_members: int = 2,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._me = me
        self._protocol = protocol
        self._membership = membership
        self._wiring = wiring
        self.trust = trust or Trust()
        self._barrier = Barrier(min_members, settle_s)
        self._words = Words()
        self._view: View | None = None
        self._is_outdated = False  # the view: others are accepted now
        self._roster: Mapping[str, str] | None = None
        self._graph: GraphWiring | TrustWiring | None = None
        self._met: frozenset[str] = frozenset()  # everybody who ever was a member, or linked
        self.refused: Counter[str] = Counter()  # why -> messages that the gates stopped
        self.finite = FiniteGate()
        self._muted: frozenset[str] = frozenset()  # of the view
        self._marks = Marks()

    @property
    def view(self) -> View | None:
        """Who takes part and the graph over them; None before the first ``Started``."""
        return self._view

    @property
    def protocol(self) -> ExchangeProtocol:
        """The protocol that lives on it, for looking at."""
        return self._protocol

    def near(self, round: int) -> frozenset[str]:
        """Whom this node must be linked with: its neighbours in ``round``, or all whom its lists name."""
        if self._view is None:
            return frozenset()
        if self._wiring is None:
            return self.trust.listed(frozenset(self._view.members)) - {self._me}
        hood = self._view.neighbourhood(round)
        return frozenset((*hood.send_to, *hood.receive_weights))

    def counts(self) -> dict[str, int]:
        """How often each gate of this node has stopped something, by its word."""
        found = {f"refused {why}": count for why, count in (self.refused + self.finite.reasons).items()}
        late = sum(self._protocol.late.values()) if isinstance(self._protocol, Watching) else 0
        return found | {
            "withheld": self.finite.withheld,
            "rolled_back": self.finite.rolled_back,
            "late": late,
        }

    @property
    def is_running(self) -> bool:
        """Has the protocol been started?"""
        return self._barrier.is_open

    @property
    def roster_hash(self) -> bytes:
        """Short hash of the members this node believes in."""
        return roster_hash(self._membership.roster)

    def objection(self, sender: str, *, start: int, sequence: int) -> RemoteError | None:
        """Why a message with arrays from this sender would not come in now, with the code for the sender."""
        code = self._gate(sender, start, sequence)
        if code == "duplicate":
            return RepeatedError(REFUSALS[code], self._marks.mark(sender))
        return None if code == KEPT else RemoteError(REFUSALS[code], code=code)

    def handle(self, event: NodeInput, now_s: float) -> list[NodeEffect]:
        """React to one event of the driver; see ``p2pfl.events`` and ``p2pfl.membership``."""
        match event:
            case Received():
                return self._receive(event, now_s)
            case Trained(model):
                effects = self._protocol.handle(Trained(self.finite.trained(model)), now_s)
                # A muted peer's time may be over: look around.
                return [*self._send_out(effects), *self._look_around(now_s)]
            case TimerFired(name):
                return self._fire(name, event, now_s)
            case LinkUp() | LinkDown() | Heard() | Active() | Unreachable():
                self._listen(event)
                return [*self._membership.handle(event, now_s), *self._look_around(now_s)]
            case Started():
                return [*self._membership.start(now_s), *self._look_around(now_s)]
            case TrustChanged(trust):
                return self._change_trust(trust, now_s)
            case PeersChanged():
                raise TypeError("a node makes its own PeersChanged")

    def snapshot(self) -> Snapshot:
        """The protocol's snapshot with the members known to this node."""
        inner = self._protocol.snapshot()
        values: dict[str, Scalar | list[Scalar]] = {f"protocol.{k}": v for k, v in inner.values.items()}
        values["node.members"] = [] if self._graph is None else self._graph.roster
        values |= self._marks.values()
        arrays: dict[str, Array] = {f"protocol.{k}": a for k, a in inner.arrays.items()}
        return Snapshot(values, arrays)

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot before ``Started``: the start barrier is the restored node's.

        A snapshot that names no members is of a node that has not been through the barrier.
        """
        prefix = "protocol."
        self._protocol.restore(
            Snapshot(
                {k.removeprefix(prefix): v for k, v in snapshot.values.items() if k.startswith(prefix)},
                {k.removeprefix(prefix): a for k, a in snapshot.arrays.items() if k.startswith(prefix)},
            )
        )
        members = snapshot.values.get("node.members")
        if isinstance(members, list):
            self._met = frozenset(map(str, members))
            self._barrier.expect(self._met)
        self._marks.restore(snapshot.values)

    def _listen(self, event: MembershipInput) -> None:
        """Take up what a peer says of its lists when a link to it comes up."""
        match event:
            case LinkUp(peer, accepts_us=accepts_us, shares_with_us=shares_with_us):
                words = self._words.said(peer, accepts_us=accepts_us, shares_with_us=shares_with_us)
            case LinkDown(peer):
                words = self._words.said(peer, accepts_us=False, shares_with_us=False)
            case _:
                return
        self._is_outdated |= self._wiring is None and words is not self._words
        self._words = words

    def _receive(self, event: Received, now_s: float) -> list[NodeEffect]:
        self._membership.touch(event.sender, now_s)
        if not event.message.has_arrays:
            return self._take(event, now_s)
        code = self._gate(event.sender, event.start, event.sequence)
        if code in (KEPT, "muted"):  # a muted sender's messages are counted there
            code = self.finite.objection(event.sender, event.message) or KEPT
        taken = self._take(event, now_s) if code == KEPT else self._refuse(code, now_s)
        return [Settle(event.sender, event.sequence, code), *taken] if event.sequence else taken

    def _gate(self, sender: str, start: int, sequence: int) -> str:
        """Without a look at the arrays of a message: ``kept``, or why it may not come in."""
        if not self.trust.accepts(sender):
            return "not_trusted"
        if self.finite.is_muted(sender):
            return "muted"
        return "duplicate" if sequence and self._marks.is_repeated(sender, start, sequence) else KEPT

    def _refuse(self, code: str, now_s: float) -> list[NodeEffect]:
        if code in REASONS:
            return self._look_around(now_s)
        self.refused[code] += 1
        return []

    def _take(self, event: Received, now_s: float) -> list[NodeEffect]:
        """Hand a message to the protocol, or keep it for when the protocol has been started."""
        if not self._barrier.is_open:
            self._barrier.hold(event)
            return []
        return self._send_out(self._hand_over(event, now_s))

    def _hand_over(self, event: Event, now_s: float) -> list[Effect]:
        """The protocol's effects; none for a message that it has had already."""
        if (
            isinstance(event, Received)
            and event.message.has_arrays
            and not self._marks.take(event.sender, event.start, event.sequence)
        ):
            self.refused["duplicate"] += 1
            return []
        return self._protocol.handle(event, now_s)

    def _change_trust(self, trust: Trust, now_s: float) -> list[NodeEffect]:
        """Other lists: what is held of senders that are no longer accepted is dropped."""
        self.trust = trust
        self._barrier.release(trust.accepts)
        if self._view is None:
            return []
        everyone = self._view.accepted | frozenset(self._view.members) | self._view.live
        if self._wiring is not None and trust.accepted(everyone) == self._view.accepted:
            return []
        self._is_outdated = True
        return self._look_around(now_s)

    def _fire(self, name: str, event: TimerFired, now_s: float) -> list[NodeEffect]:
        if name == HEARTBEAT_TIMER:
            return [*self._membership.handle(event, now_s), *self._look_around(now_s)]
        if name == SETTLE_TIMER:
            self._barrier.has_settled = True
            return self._look_around(now_s)
        return self._send_out(self._protocol.handle(event, now_s))

    def _look_around(self, now_s: float) -> list[NodeEffect]:
        """Tell the protocol if the view has changed, and open the start barrier when it may open."""
        view = self._observe()
        has_changed = view is not self._view
        self._view = view
        if self._barrier.is_open:
            if not has_changed:
                return []
            return self._send_out(self._protocol.handle(PeersChanged(view), now_s))
        near = self.near(0)
        has_company = self._wiring is not None or self._has_neighbour(view)
        if not (has_company and self._barrier.may_open(view, near)):
            return [*self._barrier.wait(view)] if has_company else []
        self._barrier.is_open = True
        events: list[Event] = [PeersChanged(view), Started(), *self._barrier.held]
        self._barrier.held.clear()
        return [e for event in events for e in self._send_out(self._hand_over(event, now_s))]

    def _has_neighbour(self, view: View) -> bool:
        """Is there somebody to learn with, unless this node is meant to begin alone?"""
        hood = view.neighbourhood(0)
        return bool(hood.send_to or hood.receive_weights) or self._barrier.is_for_one

    def _observe(self) -> View:
        roster, linked = self._membership.roster, self._membership.linked
        muted = self.finite.muted  # nobody waits for their models
        view = self._view
        if view is not None and roster is self._roster and not self._is_outdated:
            is_same = linked is view.live or linked == view.live  # comparing large sets takes its time
            if is_same and muted == self._muted:
                return view
        self._is_outdated, self._muted = False, muted
        if self._graph is None or self._wiring is None or roster is not self._roster:
            self._graph, self._roster = self._wire(roster, linked), roster
            self._met = self._met | self._graph.everyone if self._met else self._graph.everyone
            if len(self._met) > MAX_MET:  # a model is held of nobody else
                self._met = self._graph.everyone | self._marks.senders
        graph = self._graph
        # A linked peer may be heard before rumours make it a member: what it says then counts later.
        everyone = graph.everyone if linked <= graph.everyone else graph.everyone | linked
        refused = self._met | linked | self._marks.senders if self.trust.is_choosy else frozenset[str]()
        refused -= self.trust.accepted(refused) | {self._me}
        accepted = self.trust.accepted(everyone) - muted
        return View(self._me, graph.members, linked, accepted, graph, refused)

    def _wire(self, roster: Mapping[str, str], linked: frozenset[str]) -> GraphWiring | TrustWiring:
        if self._wiring is not None:
            return self._wiring(roster)
        send_to, receive_from = (
            frozenset(peer for peer in linked if is_ours(peer) and peer in theirs)
            for is_ours, theirs in (
                (self.trust.shares_with, self._words.accepts_us),
                (self.trust.accepts, self._words.shares_with_us),
            )
        )
        return TrustWiring(self._me, roster, send_to=send_to, receive_from=receive_from)

    def _send_out(self, effects: list[Effect]) -> list[NodeEffect]:
        if not effects:
            return []
        allowed = self.finite.filtered(effects)
        if self.trust.shares_with_everybody:
            return list(allowed)
        return [effect for effect in allowed if self._may_leave(effect)]

    def _may_leave(self, effect: Effect) -> bool:
        match effect:
            case Send(to, message) if message.has_arrays:
                if self.trust.shares_with(to):
                    return True
                self.refused["not_shared"] += 1
                return False
            case _:
                return True
