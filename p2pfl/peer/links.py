"""Links to peers, for every transport: whom to dial, when to try again, which of two links to keep.

A peer is dialled when discovery hints at it and nothing is known of it yet, and again whenever it is
*wanted* (a member this node must reach) and not linked.  Attempts back off from 1 s to 30 s, times a random
0.5 to 1; a new address ends the wait.  Two nodes that know of each other would dial at once: the one with
the larger id gives the other ``YIELD_S``.  When there are two links to one process all the same, both sides
keep the one that the smaller id dialled; the other carries no new packets and is closed when what it held
has arrived.  A second link to the process of one that has been up for ``SAME_TIME_S`` is no such coincidence:
the other side has lost the first, with whatever was under way, and the owner is told so.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from p2pfl.discovery.discovery import Hint
from p2pfl.errors import RemoteError, TransportError
from p2pfl.peer.linking import UNNEEDED, Surplus
from p2pfl.peer.links_owner import LinksOwner
from p2pfl.peer.pings import Pings
from p2pfl.peer.silence import Silence
from p2pfl.peer.targets import Target, has_room, superfluous
from p2pfl.peer.tasks import Tasks
from p2pfl.transports.transport import Link, Transport
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Goodbye, Greeting, Offer, Packet, Receipt, Reject
from p2pfl.wire.ping import Ping, Pong

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0
YIELD_S = 1.5
RETIRE_S = 5.0
MAX_RETIRED = 2  # links to one peer that are not in use; of more the oldest is cut
SAME_TIME_S = 10.0  # within it two attempts count as simultaneous: what connecting and greeting may take
HOPELESS_CODES = frozenset(
    {
        *("wrong_plan", "wrong_schema", "wrong_network", "wrong_key"),
        *("not_listed", "wrong_network_key", "no_tls"),
    }
)  # trying again soon would not help


@dataclass(frozen=True, slots=True)
class _Use:
    """The link in use to a peer, whether this node dialled it, and since when it is up."""

    link: Link
    dialled: bool
    since_s: float


class Links:
    """Keeps at most one link in use per peer, and tries to have one to each peer that is wanted."""

    def __init__(
        self,
        me: str,
        transport: Transport,
        owner: LinksOwner,
        *,
        rng: np.random.Generator,
        may_dial: Callable[[str], bool] | None = None,
        limits: Callable[[], Limits] = Limits,
    ) -> None:
        self._me = me
        self._transport = transport
        self._owner = owner
        self._rng = rng
        self._may_dial = may_dial or (lambda _peer: True)
        self._links: dict[str, _Use] = {}  # by peer
        self._received: dict[str, int] = {}  # bytes by peer, when last asked
        self._left: dict[str, str] = {}  # peer -> the code of its good-bye
        self._retired: dict[Link, None] = {}  # not in use, what they hold still arrives; the oldest first
        self._owed: dict[tuple[str, int], list[Link]] = {}  # receipts: (peer, sequence) -> where it came
        self._targets: dict[str, Target] = {}  # by id, or by address while the id is unknown
        self._wanted: frozenset[str] = frozenset()
        self._known: frozenset[str] = frozenset()
        self._surplus = Surplus()
        self._is_closing = False
        self._tasks = Tasks()
        self._silence = Silence(limits)
        self._looking: asyncio.TimerHandle | None = None
        self.pings = Pings(self.send)

    async def open(self, greeting: Callable[[], Greeting]) -> str:
        """Listen; returns the address to announce."""
        self._look_again()
        return await self._transport.listen(greeting, self)

    async def close(self) -> None:
        """Say good-bye to everybody and stop every attempt."""
        self._is_closing = True
        if self._looking is not None:
            self._looking.cancel()
        await self._tasks.cancel()
        for use in list(self._links.values()):
            use.link.close("leaving", "the node stops")
        await self._transport.close()

    @property
    def linked(self) -> Mapping[str, Greeting]:
        """Peers with a link in use, and what they said of themselves."""
        return {peer: use.link.peer for peer, use in self._links.items()}

    @property
    def connected(self) -> frozenset[str]:
        """Peers with any link at all, also one that is in use no more."""
        return frozenset(self._links) | {link.peer.id for link in self._retired}

    def active(self) -> list[str]:
        """Peers from which bytes have arrived since this was last asked."""
        before, self._received = self._received, {}
        for peer, use in self._links.items():
            self._received[peer] = use.link.bytes_received
        return [peer for peer, count in self._received.items() if count > before.get(peer, 0)]

    def send(self, to: str, packet: Packet, replaces: str = "") -> bool:
        """Queue a packet on the link in use; False when there is none."""
        use = self._links.get(to)
        if use is None:
            return False
        use.link.send(packet, replaces)
        return True

    def cut(self, peer: str, code: str, text: str) -> None:
        """Cut all links to a peer, with what is half sent; they are down at once."""
        for link in [each for each in self._retired if each.peer.id == peer]:
            link.cut(code, text)
        use = self._links.get(peer)
        if use is not None:
            use.link.cut(code, text)
            self.link_down(use.link, code)

    def settle(self, peer: str, receipt: Receipt) -> None:
        """Tell a peer what became of a message with arrays, over the link that it came by."""
        links = self._owed.get((peer, receipt.sequence))
        if links:
            links.pop(0).settle(receipt.sequence, receipt.code, receipt.text)
            if not links:
                del self._owed[peer, receipt.sequence]

    def hint(self, hint: Hint) -> None:
        """Discovery has found, or lost, an address."""
        key = hint.id or hint.address
        if hint.gone:
            self._forget(key, hint.address)
        elif hint.id and not self._may_dial(hint.id):
            return
        elif hint.id != self._me and (key in self._targets or has_room(self._targets, self._wanted)):
            self._aim(key, hint.id, hint.address)
            self._targets[key].is_hinted = True

    def want(self, wanted: Mapping[str, str], known: frozenset[str]) -> None:
        """Keep links to these (id -> address, "" if unknown); other ``known`` members are let go in time."""
        self._wanted, self._known = frozenset(wanted), known
        self._surplus.forget(known)
        for key in superfluous(self._targets, self._wanted, self._links):
            self._drop(key)
        for peer, address in wanted.items():
            if peer not in self._links and self._may_dial(peer):
                self._aim(peer, peer, address)

    def let_go(self) -> None:
        """Close links to members that have not been wanted for some time."""
        linked = [peer for peer in self._links if peer in self._known]
        for peer in self._surplus.look(linked, self._wanted, asyncio.get_running_loop().time()):
            self.cut(peer, UNNEEDED, "the graph does not ask for this link any more")

    def link_up(self, link: Link, *, dialled: bool) -> None:
        """A transport has a new link: use it, or retire it, or let it replace the one in use."""
        peer, now_s = link.peer.id, asyncio.get_running_loop().time()
        old = self._links.get(peer)
        self._learn_address(link.peer)
        if peer in self._targets:
            self._targets[peer].linked_s = now_s
        if old is not None and self._is_copy(old.link.peer, link.peer):
            self._owner.peer_failed(
                peer, link.peer.address, RemoteError("two processes run under this id", code="duplicate_id")
            )
            link.close("duplicate_id", "another process runs under your id")
            return
        is_continued = old is not None and self._is_same_connection(old, link, now_s)
        if old is not None and is_continued and self._is_better(old, dialled=dialled):
            self._retire(link)
            return
        self._links[peer] = _Use(link, dialled, now_s)
        if old is not None:
            self._retire(old.link)
        if is_continued:
            return
        self._left.pop(peer, None)
        if old is not None:
            is_restarted = old.link.peer.boot != link.peer.boot
            reason = "restarted" if is_restarted else "it has connected anew"
            self._owner.peer_down(old.link.peer, left=False, reason=reason)
        self._owner.peer_up(link.peer)

    def packet_received(self, link: Link, packet: Packet) -> None:
        """Hand a packet on; a good-bye is remembered until the link goes down."""
        peer = link.peer.id
        if isinstance(packet, Pong):
            self.pings.answered(peer, packet)
            return
        if isinstance(packet, Goodbye):
            if self._is_used(link):
                self._left[peer] = packet.code
            return
        if isinstance(packet, Envelope) and packet.message.has_arrays:
            self._owed.setdefault((peer, packet.sequence), []).append(link)
        self._owner.packet_arrived(peer, packet)

    def objection(self, link: Link, offer: Offer) -> RemoteError | None:
        """The owner's word on what a peer offers."""
        return self._owner.objection(link.peer.id, offer)

    def may_leave(self, link: Link, envelope: Envelope) -> bool:  # noqa: ARG002  # who it is for decides
        """The owner's word on what waits for a peer."""
        return self._owner.may_leave(link.peer.id)

    def refused(self, link: Link, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """A peer does not want, or has not kept, a model of ours."""
        self._owner.model_refused(link.peer.id, answer, unsent=unsent)

    def link_down(self, link: Link, reason: str) -> None:
        """A connection is gone; the peer is, if it was the one in use."""
        self._retired.pop(link, None)
        for key in [key for key, links in self._owed.items() if link in links]:
            del self._owed[key]
        if not self._is_used(link):
            return
        peer = link.peer.id
        del self._links[peer]
        code = self._left.pop(peer, "")
        self._owner.peer_down(link.peer, left=code == "leaving", reason=code or reason)
        if not self._is_closing and peer in self._targets:
            self._targets[peer].news.set()
            self._wake(self._targets[peer])

    def _look_again(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(self._silence.period_s, self._look_for_silence)

    def _look_for_silence(self) -> None:
        """Ask those from whom nothing comes, and give up those who do not answer for long."""
        self._look_again()
        links = {peer: use.link for peer, use in self._links.items()}
        counts = {peer: link.bytes_received for peer, link in links.items()}
        asked, dead = self._silence.look(counts, asyncio.get_running_loop().time())
        for peer in asked:
            links[peer].send(Ping())
        for peer in dead:
            self.cut(peer, "silent", "nothing has come from there for long")

    def _is_used(self, link: Link) -> bool:
        use = self._links.get(link.peer.id)
        return use is not None and use.link is link

    def _is_same_connection(self, old: _Use, link: Link, now_s: float) -> bool:
        """Do both links stand for one: the same process, connected to twice at the same time?"""
        return old.link.peer.boot == link.peer.boot and now_s - old.since_s <= SAME_TIME_S

    def _is_copy(self, old: Greeting, new: Greeting) -> bool:
        """Is the new process not a later start of the old one: a copied state folder, a cloned machine?"""
        return new.boot != old.boot and new.incarnation <= old.incarnation

    def _is_better(self, old: _Use, *, dialled: bool) -> bool:
        """Of two links dialled by different sides, is the older the one that the smaller id dialled?"""
        return dialled != old.dialled and old.dialled == (self._me < old.link.peer.id)

    def _retire(self, link: Link) -> None:
        self._retired.setdefault(link)
        same = [each for each in self._retired if each.peer.id == link.peer.id]
        for oldest in same[:-MAX_RETIRED]:
            del self._retired[oldest]
            oldest.cut("duplicate", "other links are in use")
        asyncio.get_running_loop().call_later(RETIRE_S, self._end_retired, link)

    def _end_retired(self, link: Link) -> None:
        """Close it unless a model is still under way: its receiver waits for it, and it is not sent again."""
        if link not in self._retired:
            return  # it is gone
        if link.is_idle:
            link.close("duplicate", "another link is in use")
        else:
            self._retire(link)

    def _learn_address(self, peer: Greeting) -> None:
        if peer.address and (peer.id in self._targets or has_room(self._targets, self._wanted)):
            self._targets.setdefault(peer.id, Target(peer.id)).note(peer.address)
        # An address that was dialled without knowing whom has got its answer.
        unnamed = self._targets.get(peer.address)
        if unnamed is not None and not unnamed.id:
            self._drop(peer.address)

    def _aim(self, key: str, peer: str, address: str) -> None:
        target = self._targets.setdefault(key, Target(peer))
        if address:
            target.note(address)
        self._wake(target)

    def _wake(self, target: Target) -> None:
        if self._is_closing:
            return
        if target.attempts is None or target.attempts.done():
            target.attempts = self._tasks.begin(self._pursue(target))

    def _forget(self, key: str, address: str) -> None:
        target = self._targets.get(key)
        if target is None or key in self._wanted or key in self._links:
            return
        target.addresses = [a for a in target.addresses if a != address]
        if not target.addresses:
            self._drop(key)

    def _drop(self, key: str) -> None:
        """Forget a target; an attempt under way runs to its end, since the other side may have it already."""
        target = self._targets.pop(key, None)
        if target is not None:
            target.addresses = []
            target.news.set()

    def _is_needed(self, target: Target) -> bool:
        if not target.id:
            return True
        if target.id in self._links:
            return False
        if not self._may_dial(target.id):
            return False
        return target.id in self._wanted or target.id not in self._known

    async def _pursue(self, target: Target) -> None:
        """Try the addresses of one target until it is linked or no longer needed."""
        if target.id and self._me > target.id:
            await asyncio.sleep(YIELD_S)
        # A peer that breaks every link off at once is not dialled in a tight loop.
        await asyncio.sleep(target.linked_s + FIRST_RETRY_S - asyncio.get_running_loop().time())
        delay_s = FIRST_RETRY_S
        while target.addresses and self._is_needed(target):
            target.news.clear()
            error = await self._try_all(target)
            if not target.addresses:
                return  # it was our own (one list may serve every machine), or the peer has its name now
            if error is None:
                if not target.news.is_set():
                    return
                target.news.clear()  # the link is lost already
            else:
                self._owner.peer_failed(target.id, target.addresses[-1], error)
            if isinstance(error, RemoteError) and error.code in HOPELESS_CODES:
                delay_s = LAST_RETRY_S
            await self._pause(target, delay_s * self._rng.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, LAST_RETRY_S)

    async def _pause(self, target: Target, delay_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(target.news.wait(), delay_s)

    async def _try_all(self, target: Target) -> TransportError | RemoteError | None:
        """None when one address has answered, else the last error."""
        last: TransportError | RemoteError | None = None
        for address in list(target.addresses):
            try:
                await self._transport.dial(address, target.id)
            except (TransportError, RemoteError) as error:
                last = error
                if isinstance(error, RemoteError) and error.code == "own_id":
                    target.addresses.remove(address)
                continue
            if not target.id:
                self._drop(address)
            return None
        return last
