"""What links tell of peers, what they ask, and whom this node trusts: between the links and the engine."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

from p2pfl.errors import RemoteError, TransportError
from p2pfl.events import Received
from p2pfl.finiteness import REASONS
from p2pfl.identity.admission import Admission
from p2pfl.membership import Heard, Heartbeat, LinkDown, LinkUp, Unreachable
from p2pfl.node import KEPT, REFUSALS, Node, NodeInput, Settle
from p2pfl.peer.linking import UNNEEDED
from p2pfl.peer.links import Links
from p2pfl.peer.numbering import Numbering
from p2pfl.peer.status import Tally
from p2pfl.trust import Trust, TrustChanged
from p2pfl.wire.packets import Envelope, Goodbye, Greeting, Offer, Packet, Receipt, Reject

REFUSED_EVERY_S = 60.0  # the same reason about the same peer is said once in this time
MAX_SAID = 1024
HERE = {  # why a model was not wanted, or not kept, here
    "not_trusted": "its models are not accepted here",
    "malformed": "its offer has no number",
    "duplicate": "its message is not newer than what we had from it",
    **REASONS,
}

# What others may say of our models: a word of their own would be one more entry for each.
KNOWN_CODES = frozenset(
    {
        *REFUSALS,
        "malformed",
        "wrong_schema",
        "too_big",
        "bad_hash",
        "bad_size",
        "bad_norm",
        "stale",
        "disk_full",
        "paused",
    }
)

Report: TypeAlias = Callable[[str, Mapping[str, object]], None]


class Neighbours:
    """Answers the links of one peer, hands on what they bring, and keeps what they were refused.

    ``put`` takes an event for the node; ``report`` and ``problem`` take an event name and its facts.
    """

    def __init__(
        self,
        node: Node,
        tally: Tally,
        admission: Admission | None,
        *,
        put: Callable[[NodeInput], None],
        put_first: Callable[[NodeInput], None],
        report: Report,
        problem: Report,
    ) -> None:
        self._node = node
        self._tally = tally
        self._admission = admission
        self._put = put
        self._put_first = put_first
        self._report = report
        self._problem = problem
        self._trust = node.trust  # the newest lists; the node may hear of them later, in another thread
        self._said: dict[tuple[str, str], float] = {}  # (peer, code) -> when it was said last
        self.links: Links
        self.numbering: Numbering

    @property
    def trust(self) -> Trust:
        """The lists in force."""
        return self._trust if self._admission is None else self._admission.trust

    def change_trust(self, trust: Trust) -> None:
        """Other lists, in force when this returns: links for which they say another thing are cut.

        Whoever is still admitted is linked again at once, and learns in the greeting what has changed.
        """
        before = self.trust
        if self._admission is not None:
            self._admission.change(trust)
        self._trust = trust
        self._put_first(TrustChanged(self.trust))  # before models that have arrived and wait
        for peer in sorted(self.links.connected):
            if not self.trust.admits(peer):
                self.links.cut(peer, "not_admitted", "the trust between us has ended")
            elif _pair(before, peer) != _pair(self.trust, peer):
                self.links.cut(peer, "trust_changed", "other trust lists are in force")

    # What links tell and ask (LinksOwner).

    def peer_up(self, peer: Greeting) -> None:
        """A first link to this process of the peer is up."""
        self._tally.forget()
        self._report("peer.up", {"peer": peer.id, "name": peer.name, "address": peer.address})
        if (
            self._admission is not None and self.trust is not self._node.trust
        ):  # it has proved the network key
            self._put(TrustChanged(self.trust))
        self._put(
            LinkUp(
                peer.id,
                peer.incarnation,
                peer.name,
                peer.address,
                accepts_us=peer.accepts_you,
                shares_with_us=peer.shares_with_you,
            )
        )

    def peer_down(self, peer: Greeting, *, left: bool, reason: str) -> None:
        """The last link is gone."""
        self._report("peer.down", {"peer": peer.id, "name": peer.name, "reason": reason})
        if reason == "duplicate_id":
            problem = "another process runs under this node's id: is the state folder a copy?"
            self._problem("peer.refused", {"peer": peer.id, "code": reason, "problem": problem})
        self._put(LinkDown(peer.id, left, is_unneeded=reason == UNNEEDED))

    def peer_failed(self, peer: str, address: str, error: TransportError | RemoteError) -> None:
        """No address of a peer answered."""
        if isinstance(error, RemoteError):
            self._tally.refused[peer, error.code] += 1
            facts = {"peer": peer, "address": address, "code": error.code, "problem": str(error)}
            self._problem("peer.refused", facts)
            return
        facts = {"peer": peer, "address": address, "problem": str(error)}
        if peer:
            self._report("peer.unreachable", facts)
            self._put(Unreachable(peer))
        else:  # an address that the operator has written down
            self._problem("peer.unreachable", facts)

    def packet_arrived(self, peer: str, packet: Packet) -> None:
        """A packet from a linked peer."""
        match packet:
            case Envelope(message, roster, start, sequence):
                self._tally.rosters[peer] = roster
                self._tally.note_received(peer, message, asyncio.get_running_loop().time())
                self._put(Received(peer, message, start, sequence))
            case Heartbeat():
                self._tally.rosters[peer] = packet.roster
                self._put(Heard(peer, packet))
            case Goodbye():
                pass  # links keep it for peer_down

    def objection(self, peer: str, offer: Offer) -> RemoteError | None:
        """Why what a peer offers is not wanted: gate 3 of one-way trust, before a byte of it flows."""
        if not self.trust.accepts(peer):
            found: RemoteError | None = RemoteError(REFUSALS["not_trusted"], code="not_trusted")
        elif offer.sequence == 0:  # it could be played again for ever, and no receipt would answer it
            found = RemoteError("the offer has no number", code="malformed")
        else:
            found = self._node.objection(peer, start=offer.start, sequence=offer.sequence)
        if found is not None:
            self.note_refused(peer, found.code)
        return found

    def may_leave(self, peer: str) -> bool:
        """May a model be offered to this peer now: gate 2, after all that it has waited for."""
        is_shared = self.trust.shares_with(peer)
        self._tally.withheld += not is_shared
        return is_shared

    def model_refused(self, peer: str, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """A peer has rejected the offer of a model of ours, or not kept what it received."""
        code, text = (answer.code if answer.code in KNOWN_CODES else "other"), answer.text
        if isinstance(answer, Reject) and code == "duplicate":
            self.numbering.refused(peer, answer.mark)
        self._tally.refused_there[peer, code] += 1
        if unsent is not None:
            self._tally.note_unsent(peer, unsent.message)
        words = f"it {'does not want' if unsent is not None else 'has not kept'} our model: {text or code}"
        self._say(peer, f"{code} there", {"peer": peer, "code": code, "problem": words})

    # What the node says of what came in.

    def settle(self, verdict: Settle) -> None:
        """The receipt for a message with arrays."""
        receipt = Receipt(verdict.sequence, verdict.code, REFUSALS.get(verdict.code, ""))
        self.links.settle(verdict.sender, receipt)
        if verdict.code not in (KEPT, *REASONS):  # those are news of the node's
            self.note_refused(verdict.sender, verdict.code)

    def note_refused(self, peer: str, code: str) -> None:
        """A model of a peer was not wanted, or not kept, here."""
        self._tally.refused[peer, code] += 1
        self._say(peer, code, {"peer": peer, "code": code, "problem": HERE.get(code, code)})

    def _say(self, peer: str, about: str, facts: Mapping[str, object]) -> None:
        """Report a refusal unless the same was reported a short while ago."""
        now_s = asyncio.get_running_loop().time()
        last_s = self._said.pop((peer, about), None)
        if last_s is not None and now_s - last_s < REFUSED_EVERY_S:
            self._said[peer, about] = last_s
            return
        self._said[peer, about] = now_s
        if len(self._said) > MAX_SAID:
            del self._said[next(iter(self._said))]
        self._problem("peer.refused", facts)


def _pair(trust: Trust, peer: str) -> tuple[bool, bool]:
    """Do we accept it, and do we share with it?"""
    return trust.accepts(peer), trust.shares_with(peer)
