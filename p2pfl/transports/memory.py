"""Links between nodes of one event loop, for tests and simulations: no bytes, the arrays themselves.

What a TCP link does, this does too: greetings are checked, packets arrive in order and never at once,
heartbeats overtake messages, a short outbox keeps the newest once as much is under way as a socket holds,
and a model is offered before it is sent.  There is always memory for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, assert_never

import numpy as np

from p2pfl.errors import RemoteError, TransportError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.model import Array, Model
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.greetings import refusal
from p2pfl.wire.limits import Limits
from p2pfl.wire.offers import ReceivingHalf, SendingHalf
from p2pfl.wire.outbox import Outbox
from p2pfl.wire.packets import KEPT, Accept, Envelope, Goodbye, Greeting, Offer, Packet, Receipt, Reject
from p2pfl.wire.ping import EchoAllowance, Ping, Pong

SCHEME = "memory://"
# An envelope with arrays that stands for itself is a body: its offer went before it.
Parcel: TypeAlias = Packet | Offer | Accept | Reject | Receipt


class MemoryHub:
    """The network of one process: which address belongs to which transport."""

    def __init__(self) -> None:
        self._transports: dict[str, MemoryTransport] = {}
        self._count = 0

    def attach(self, transport: "MemoryTransport") -> str:
        """A new address for a transport."""
        self._count += 1
        address = f"{SCHEME}{self._count}"
        self._transports[address] = transport
        return address

    def detach(self, address: str) -> None:
        """Nobody listens at the address any more."""
        self._transports.pop(address, None)

    def at(self, address: str) -> "MemoryTransport":
        """Who listens at an address; raises TransportError when nobody does."""
        if address not in self._transports:
            raise TransportError(f"{address} cannot be reached: nobody listens there")
        return self._transports[address]

    def cut(self, address: str) -> None:
        """Break every link of a transport without a good-bye, as if its cable were pulled."""
        self.at(address).cut()


class MemoryLink:
    """One end of a link; the other end is ``far``."""

    def __init__(self, peer: Greeting, owner: "MemoryTransport") -> None:
        self._peer = peer
        self._owner = owner
        self._controls: Outbox[Parcel] = Outbox(owner.limits)
        self._sending: SendingHalf[Envelope] = SendingHalf(owner.limits)
        self._receiving = ReceivingHalf(owner.limits, lambda _offer: True)
        self._under_way: deque[Parcel | None] = deque()  # None: it was dropped
        self._under_way_bytes = 0
        self._is_over = False
        self._echoes = EchoAllowance()
        self._received_bytes = 0
        self.far: MemoryLink

    @property
    def peer(self) -> Greeting:
        """What the other side said of itself."""
        return self._peer

    @property
    def bytes_received(self) -> int:
        """All that has arrived so far, as it would weigh on a wire; small packets count as one byte."""
        return self._received_bytes

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent or is under way, in either direction."""
        return not (self.is_sending or self.far.is_sending)

    @property
    def is_sending(self) -> bool:
        """Does anything wait at this end, or is it under way to the other?"""
        return bool(self._controls or self._under_way) or not self._sending.is_idle

    @property
    def waiting(self) -> int:
        """Packets in the outbox, of which none has begun to be sent."""
        return len(self._controls) + self._sending.waiting

    def send(self, packet: Packet, replaces: str = "") -> None:
        """Queue a packet; never blocks; drops as the outbox's limit and ``replaces`` say."""
        if self._is_over:
            return
        match packet:
            case Envelope(message):
                sequence = packet.sequence if message.has_arrays else None
                self._sending.put(_read_only(packet), sequence=sequence, replaces=replaces)
            case Heartbeat() | Ping() | Pong():
                self._echoes.sent(packet)
                self._controls.put_control(packet)
            case Goodbye(code, text):
                self.close(code, text)
            case _:
                assert_never(packet)
        self._pump()

    def settle(self, sequence: int, code: str, text: str = "") -> None:
        """Give the receipt for a message with arrays that has arrived."""
        if self._receiving.settle(sequence):
            self._answer(Receipt(sequence, code, text))

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye with a code, then close."""
        if not self._is_over:
            reason = f"{code}: {text}" if text else code
            self._clear()
            self._launch(Goodbye(code, text))
            self.end(reason)

    def cut(self, code: str, text: str = "") -> None:
        """As ``close``, but a model under way is dropped."""
        kept = (None if parcel and _size_bytes(parcel) else parcel for parcel in self._under_way)
        self._under_way, self._under_way_bytes = deque(kept), 0
        self.close(code, text)

    def end(self, reason: str) -> None:
        """The link is over at this end; what is under way still arrives."""
        if not self._is_over:
            self._is_over = True
            self._clear()
            asyncio.get_running_loop().call_soon(self._owner.ended, self, reason)

    def _clear(self) -> None:
        self._controls.clear()
        self._sending.clear()

    def _answer(self, answer: Accept | Reject | Receipt | None) -> None:
        if answer is not None and not self._is_over:
            self._controls.put_answer(answer)
            self._pump()

    def _pump(self) -> None:
        while self._under_way_bytes <= self._owner.limits.write_high_water_bytes:
            parcel = self._controls.pop_control() or self._next_message()
            if parcel is None:
                return
            self._launch(parcel)

    def _next_message(self) -> Parcel | None:
        """The next message of words, or the offer of one with arrays, if it may still leave."""
        while (found := self._sending.next()) is not None:
            if found.sequence is None:
                return found.item
            if self._owner.may_leave(self, found.item):
                return _offer(found.item)
            self._sending.withdraw()
        return None

    def _launch(self, parcel: Parcel) -> None:
        self._under_way.append(parcel)
        self._under_way_bytes += _size_bytes(parcel)
        asyncio.get_running_loop().call_soon(self._land)

    def _land(self) -> None:
        """The packet that was launched first reaches the other end."""
        parcel = self._under_way.popleft()
        if parcel is not None:
            self._under_way_bytes -= _size_bytes(parcel)
            self.far.arrived(parcel)
        self._pump()

    def arrived(self, parcel: Parcel) -> None:
        """Something of the other end is here."""
        if self._is_over:
            return
        self._received_bytes += max(1, _size_bytes(parcel))
        match parcel:
            case Offer():
                self._receiving.offered(parcel)
                objection = self._owner.objection(self, parcel)
                self._answer(self._receiving.decide(objection, asyncio.get_running_loop().time()))
            case Accept(sequence):
                body = self._sending.accepted(sequence)
                self._sending.body_sent()
                self._launch(body)
                self._pump()
            case Reject():
                self._owner.refused(self, parcel, unsent=self._sending.rejected(parcel))
                self._pump()
            case Receipt():
                self._take_receipt(parcel)
            case Ping(payload):
                if self._echoes.take(asyncio.get_running_loop().time()):
                    self.send(Pong(payload))
            case Pong():
                self._echoes.returned()
                self._take_packet(parcel)
            case _:
                self._take_packet(parcel)

    def _take_receipt(self, receipt: Receipt) -> None:
        self._sending.receipt(receipt)
        if receipt.code != KEPT:
            self._owner.refused(self, receipt, unsent=None)
        self._pump()

    def _take_packet(self, packet: Packet) -> None:
        if isinstance(packet, Envelope) and packet.message.has_arrays:
            self._receiving.check_body()
            self._receiving.arrived()
        self._owner.received(self, packet)
        if isinstance(packet, Goodbye):
            self.end(f"{packet.code}: {packet.text}" if packet.text else packet.code)


class MemoryTransport:
    """Makes links to the other transports of a hub; ``refused`` is told of each link that was refused."""

    def __init__(
        self,
        hub: MemoryHub,
        *,
        limits: Limits,
        refused: Callable[[str, RemoteError], None] | None = None,
    ) -> None:
        self.limits = limits
        self._hub = hub
        self._refused = refused
        self._address = ""  # while it listens
        self._greeting: Callable[[], Greeting]
        self._handler: LinkHandler
        self._links: set[MemoryLink] = set()
        self._all_ended = asyncio.Event()

    async def listen(self, greeting: Callable[[], Greeting], handler: LinkHandler) -> str:
        """Accept links from now on; returns the address to dial."""
        self._greeting = greeting
        self._handler = handler
        self._address = self._hub.attach(self)
        return self._address

    async def dial(self, address: str, peer: str = "") -> None:  # noqa: ARG002  # nobody is proved here
        """Make one attempt at a link; ``link_up`` has been called when this returns.

        Raises TransportError when nobody listens there, RemoteError when the greetings do not agree.
        """
        assert self._address, "a transport listens before it dials"
        await asyncio.sleep(0)  # as with any network, something else may happen first
        far = self._hub.at(address)
        ours, theirs = self.greet(), far.greet()
        objections = refusal(ours, theirs)
        if objections is not None:
            here, there = objections
            self.report(address, here)
            far.report(self._address, there)
            raise here
        near_link, far_link = MemoryLink(theirs, self), MemoryLink(ours, far)
        near_link.far, far_link.far = far_link, near_link
        far.begin(far_link, dialled=False)
        self.begin(near_link, dialled=True)

    async def close(self) -> None:
        """Close every link and stop listening."""
        self._hub.detach(self._address)
        for link in list(self._links):
            link.close("leaving")
        while self._links:
            self._all_ended.clear()
            await self._all_ended.wait()

    def cut(self) -> None:
        """Break every link without a good-bye; what is under way is lost."""
        for link in list(self._links):
            link.far.end("connection lost")
            link.end("connection lost")

    def received(self, link: MemoryLink, packet: Packet) -> None:
        """A packet has reached one of our links."""
        self._handler.packet_received(link, packet)

    def objection(self, link: MemoryLink, offer: Offer) -> RemoteError | None:
        """Why a model is not wanted here."""
        return self._handler.objection(link, offer)

    def may_leave(self, link: MemoryLink, envelope: Envelope) -> bool:
        """May a model be offered to the other end now?"""
        return self._handler.may_leave(link, envelope)

    def refused(self, link: MemoryLink, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """The other end does not want, or has not kept, a model of ours."""
        self._handler.refused(link, answer, unsent=unsent)

    def ended(self, link: MemoryLink, reason: str) -> None:
        """One of our links is over."""
        self._links.discard(link)
        if not self._links:
            self._all_ended.set()
        self._handler.link_down(link, reason)

    def greet(self) -> Greeting:
        """What this node says of itself."""
        return self._greeting()

    def begin(self, link: MemoryLink, *, dialled: bool) -> None:
        """One of our links is up."""
        self._links.add(link)
        self._handler.link_up(link, dialled=dialled)

    def report(self, address: str, error: RemoteError) -> None:
        """A link was refused, by either side."""
        if self._refused is not None:
            self._refused(address, error)


def _read_only(envelope: Envelope) -> Envelope:
    """The same message over read-only views of its arrays."""
    message = envelope.message
    model = message.model
    if model is not None:
        model = Model(_frozen(model.params).view(np.float32), model.age, model.weight)
    body = tuple(_frozen(array) for array in message.body)
    message = Message(message.kind, message.round, model, dict(message.fields), body)
    return Envelope(message, envelope.roster, envelope.start, envelope.sequence)


def _offer(envelope: Envelope) -> Offer:
    message = envelope.message
    return Offer(envelope.start, envelope.sequence, message.kind, message.round, _size_bytes(envelope))


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _size_bytes(packet: Parcel) -> int:
    """What a packet would weigh on a wire, roughly."""
    if not isinstance(packet, Envelope):
        return 0
    model = packet.message.model
    return sum(array.nbytes for array in packet.message.body) + (0 if model is None else model.params.nbytes)
