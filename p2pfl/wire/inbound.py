"""The receiving half of a link, sans-IO: bytes in, greetings, packets and offers out, memory bounded.

The caller reads from its socket into ``buffer()`` and says with ``received(count)`` how much came.  Headers
and small frames land in a buffer of one frame; the body of a message lands in memory leased for it, so that
its bytes are moved once, by the kernel.  Whatever comes is an arrival or a RemoteError.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from p2pfl.errors import RemoteError
from p2pfl.wire.bodies import BodySchema, next_frame_bytes
from p2pfl.wire.frame_buffer import FrameBuffer
from p2pfl.wire.framing import BEFORE_GREETING, FrameType, checked_type
from p2pfl.wire.heartbeat_codec import decode_heartbeat
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import Refused, decode_goodbye, decode_greeting, decode_refused
from p2pfl.wire.message_codec import OfferedMessage, decode_message, decode_offer
from p2pfl.wire.offer_codec import decode_accept, decode_receipt, decode_reject
from p2pfl.wire.offers import ReceivingHalf
from p2pfl.wire.packets import Accept, Greeting, Offer, Packet, Receipt, Reject
from p2pfl.wire.ping import decode_ping, decode_pong
from p2pfl.wire.pool import BufferPool, Lease


@dataclass(frozen=True, slots=True)
class Proof:
    """A frame of the authenticated handshake, which ``p2pfl.identity.handshake`` reads."""

    type: FrameType
    payload: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """A frame of a later minor version: it means nothing here, and counts."""


Exchanged: TypeAlias = OfferedMessage | Accept | Reject | Receipt
Arrival: TypeAlias = Proof | Skipped | Greeting | Refused | Packet | Exchanged

_DECODERS: Mapping[FrameType, Callable[[bytes], Arrival]] = {
    FrameType.INFO: decode_greeting,
    FrameType.REFUSED: decode_refused,
    FrameType.HEARTBEAT: decode_heartbeat,
    FrameType.MESSAGE: decode_message,
    FrameType.ACCEPT: decode_accept,
    FrameType.REJECT: decode_reject,
    FrameType.RECEIPT: decode_receipt,
    FrameType.GOODBYE: decode_goodbye,
    FrameType.PING: decode_ping,
    FrameType.PONG: decode_pong,
}


class Inbound:
    """Turns the bytes of one link into what they mean; once it has raised RemoteError it is of no more use.

    Until ``accept`` only what ``expect`` has named may come, at first a greeting or a refusal.  ``offers`` is
    to be told what becomes of each OfferedMessage, at once or later; until then other frames may come.
    """

    def __init__(self, limits: Limits, schema: BodySchema, pool: BufferPool) -> None:
        self._limits = limits
        self._schema = schema
        self._pool = pool
        self._owner: str | None = None  # the peer's id, once its greeting was accepted
        self._frames = FrameBuffer(limits.greeting_frame_bytes)
        self._opening: frozenset[FrameType] = BEFORE_GREETING
        self._strange_frames = 0  # before the greeting
        self._offered: OfferedMessage | None = None  # the message whose body may come next
        self._lease: Lease | None = None  # for its body
        self._filled = 0  # bytes of its body
        self._frame_end = 0  # where the frame of the body that is arriving ends; ``_filled`` between frames
        self.offers = ReceivingHalf(limits, self._reserve)
        self.total_bytes = 0

    @property
    def is_idle(self) -> bool:
        """No body is on its way in, nor offered."""
        return self.offers.is_idle

    @property
    def body_bytes(self) -> int:
        """What has come of the body that was accepted; 0 when there is none."""
        return self._filled

    @property
    def frame_bytes_missing(self) -> int:
        """What is still to come of the frame of a body in transit; 0 when none is."""
        return self._frame_end - self._filled

    def expect(self, opening: frozenset[FrameType]) -> None:
        """Before the greeting is accepted these frames may come, and no others."""
        self._opening = opening

    def accept(self, peer: str) -> None:
        """The greeting was accepted: from now on packets are allowed."""
        self._owner = peer
        self._frames.grow(self._limits.control_frame_bytes)

    def buffer(self) -> memoryview:
        """Where the next bytes belong."""
        if self._lease is not None and self._filled < self._frame_end:
            return self._lease.memory[self._filled : self._frame_end]
        free = self._frames.free()
        # Within a body no more than the next frame is read here: what is read too early must be copied.
        return free[: self._frames.missing] if self._filled else free

    def received(self, count: int) -> Iterator[Arrival]:
        """What ``count`` more bytes in ``buffer()`` have completed."""
        self.total_bytes += count
        if self._filled < self._frame_end:
            self._filled += count
            if (envelope := self._finished_message()) is not None:
                yield envelope
        else:
            self._frames.added(count)
        has_advanced = True
        while has_advanced:
            has_advanced, arrival = self._step()
            if arrival is not None:
                yield arrival

    def close(self) -> None:
        """The link is gone: give the memory back."""
        if self._lease is not None:
            self._lease.abandon()
        self._forget_body()

    def _reserve(self, offer: Offer) -> bool:
        """Lease memory for the body of the offer; False when there is none for now."""
        assert self._owner is not None
        capacity = self._schema.capacity(offer.kind)
        self._lease = self._pool.lease(self._owner, capacity=capacity, size_bytes=offer.size_bytes)
        return self._lease is not None

    def _step(self) -> tuple[bool, Arrival | None]:
        """Whether there was anything to do, and what that completed."""
        if self._filled < self._frame_end:
            return False, None
        found = self._frames.header()
        if found is None:
            return False, None
        length, number = found
        if number == FrameType.BODY and self._owner is not None:
            return True, self._begin_body_frame(length)
        known = checked_type(
            number,
            length,
            is_greeted=self._owner is not None,
            limits=self._limits,
            opening=self._opening,
        )
        payload = self._frames.take(length)
        if payload is None:
            return False, None
        return True, self._decoded(known, payload)

    def _decoded(self, type: FrameType | None, payload: bytes) -> Arrival:
        if self._owner is None:
            self._check_greeting_budget()
        match type:
            case None:
                return Skipped()
            case FrameType.HELLO | FrameType.AUTH | FrameType.WELCOME:
                return Proof(type, payload)
            case FrameType.OFFER:
                self._offered = decode_offer(payload, self._schema)
                self.offers.offered(self._offered.offer)
                return self._offered
            case _:
                return _DECODERS[type](payload)

    def _check_greeting_budget(self) -> None:
        self._strange_frames += 1
        has_many = self._strange_frames > self._limits.greeting_frames
        if has_many or self.total_bytes > self._limits.greeting_bytes:
            raise RemoteError("too much was sent before the greeting", code="too_big")

    def _begin_body_frame(self, length: int) -> Packet | None:
        """A piece of the body begins here: the message when that, with what is here already, is all."""
        self.offers.check_body()
        assert self._lease is not None
        wanted = next_frame_bytes(len(self._lease.memory) - self._filled)
        if length != wanted:
            raise RemoteError(f"{length} bytes of a body in place of {wanted}", code="wrong_schema")
        self._frames.take_header()
        self._frame_end = self._filled + length
        self._filled += self._frames.move_into(self._lease.memory[self._filled : self._frame_end])
        return self._finished_message()

    def _finished_message(self) -> Packet | None:
        assert self._lease is not None
        assert self._offered is not None
        if self._filled < len(self._lease.memory):
            return None
        envelope = self._offered.envelope(self._lease.complete())
        self._forget_body()
        self.offers.arrived()
        return envelope

    def _forget_body(self) -> None:
        self._lease = self._offered = None
        self._filled = self._frame_end = 0
