"""Links between nodes of one event loop, for tests and simulations: no bytes, the arrays themselves.

What a TCP link does, this does too: greetings are checked, packets arrive in order and never at once,
heartbeats overtake messages, a short outbox keeps the newest once as much is under way as a socket holds.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import assert_never

import numpy as np

from p2pfl.errors import RemoteError, TransportError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.model import Array, Model
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.greetings import refusal
from p2pfl.wire.limits import Limits
from p2pfl.wire.outbox import Outbox
from p2pfl.wire.packets import Envelope, Goodbye, Greeting, Packet
from p2pfl.wire.ping import EchoAllowance, Ping, Pong

SCHEME = "memory://"


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
        self._outbox: Outbox[Packet] = Outbox(owner.limits)
        self._under_way: deque[Packet] = deque()
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
    def is_held_back(self) -> bool:
        """Nothing waits for memory here."""
        return False

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent or is under way, in either direction."""
        return not (self.is_sending or self.far.is_sending)

    @property
    def is_sending(self) -> bool:
        """Does anything wait at this end, or is it under way to the other?"""
        return bool(self.waiting or self._under_way)

    @property
    def waiting(self) -> int:
        """Packets in the outbox, of which none has begun to be sent."""
        return len(self._outbox)

    def send(self, packet: Packet, replaces: str = "") -> None:
        """Queue a packet; never blocks; drops as the outbox's limit and ``replaces`` say."""
        if self._is_over:
            return
        match packet:
            case Envelope():
                self._outbox.put(_read_only(packet), replaces)
            case Heartbeat() | Ping() | Pong():
                self._outbox.put_control(packet)
            case Goodbye(code, text):
                self.close(code, text)
            case _:
                assert_never(packet)
        self._pump()

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye with a code, then close."""
        if not self._is_over:
            reason = f"{code}: {text}" if text else code
            self._outbox.clear()
            self._launch(Goodbye(code, text))
            self.end(reason)

    def end(self, reason: str) -> None:
        """The link is over at this end; what is under way still arrives."""
        if not self._is_over:
            self._is_over = True
            self._outbox.clear()
            asyncio.get_running_loop().call_soon(self._owner.ended, self, reason)

    def _pump(self) -> None:
        while self._under_way_bytes <= self._owner.limits.write_high_water_bytes:
            packet = self._outbox.pop()
            if packet is None:
                return
            self._launch(packet)

    def _launch(self, packet: Packet) -> None:
        self._under_way.append(packet)
        self._under_way_bytes += _size_bytes(packet)
        asyncio.get_running_loop().call_soon(self._land)

    def _land(self) -> None:
        """The packet that was launched first reaches the other end."""
        packet = self._under_way.popleft()
        self._under_way_bytes -= _size_bytes(packet)
        self.far.arrived(packet)
        self._pump()

    def arrived(self, packet: Packet) -> None:
        """A packet of the other end is here."""
        if self._is_over:
            return
        self._received_bytes += max(1, _size_bytes(packet))
        if not isinstance(packet, Ping):
            self._owner.received(self, packet)
        elif self._echoes.take(asyncio.get_running_loop().time()):
            self.send(Pong(packet.payload))
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
    return Envelope(Message(message.kind, message.round, model, dict(message.fields), body), envelope.roster)


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _size_bytes(packet: Packet) -> int:
    """What a packet would weigh on a wire, roughly."""
    if not isinstance(packet, Envelope):
        return 0
    model = packet.message.model
    return sum(array.nbytes for array in packet.message.body) + (0 if model is None else model.params.nbytes)
