"""The receiving half of a link, sans-IO: bytes in, greetings and packets out, memory bounded.

The caller reads from its socket into ``buffer()`` and says with ``received(count)`` how much came.  Headers
and small frames land in a buffer of one frame; the body of a message lands in memory leased for it, so that
its bytes are moved once, by the kernel.  Whatever comes is a packet or a RemoteError.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from p2pfl.errors import RemoteError
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.frame_buffer import FrameBuffer
from p2pfl.wire.framing import BEFORE_GREETING, FrameType, checked_type
from p2pfl.wire.heartbeat_codec import decode_heartbeat
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import Refused, decode_goodbye, decode_greeting, decode_refused
from p2pfl.wire.message_codec import MessageHeader, decode_message_header
from p2pfl.wire.packets import Greeting, Packet
from p2pfl.wire.ping import decode_ping, decode_pong
from p2pfl.wire.pool import BufferPool, Lease


@dataclass(frozen=True, slots=True)
class Proof:
    """A frame of the authenticated handshake, which ``p2pfl.identity.handshake`` reads."""

    type: FrameType
    payload: bytes


Arrival: TypeAlias = Proof | Greeting | Refused | Packet

_DECODERS: Mapping[FrameType, Callable[[bytes], Arrival]] = {
    FrameType.INFO: decode_greeting,
    FrameType.REFUSED: decode_refused,
    FrameType.HEARTBEAT: decode_heartbeat,
    FrameType.GOODBYE: decode_goodbye,
    FrameType.PING: decode_ping,
    FrameType.PONG: decode_pong,
}


class Inbound:
    """Turns the bytes of one link into what they mean; once it has raised RemoteError it is of no more use.

    Until ``accept`` only what ``expect`` has named may come, at first a greeting or a refusal.
    """

    def __init__(self, limits: Limits, schema: BodySchema, pool: BufferPool) -> None:
        self._limits = limits
        self._schema = schema
        self._pool = pool
        self._owner: str | None = None  # the peer's id, once its greeting was accepted
        self._frames = FrameBuffer(limits.greeting_frame_bytes)
        self._opening: frozenset[FrameType] = BEFORE_GREETING
        self._strange_frames = 0  # before the greeting
        self._header: MessageHeader | None = None  # of the message whose body comes next
        self._lease: Lease | None = None  # for the body in transit
        self._filled = 0  # bytes of the body in transit
        self.total_bytes = 0

    @property
    def is_blocked(self) -> bool:
        """Whether a body waits for memory: stop reading, and ``retry`` when the pool says so."""
        return self._header is not None and self._lease is None and self._frames.header() is not None

    @property
    def is_idle(self) -> bool:
        """No body is on its way in."""
        return self._header is None

    @property
    def body_bytes_missing(self) -> int:
        """What is still to come of the body in transit; 0 when none is."""
        return 0 if self._lease is None else len(self._lease.memory) - self._filled

    def expect(self, opening: frozenset[FrameType]) -> None:
        """Before the greeting is accepted these frames may come, and no others."""
        self._opening = opening

    def accept(self, peer: str) -> None:
        """The greeting was accepted: from now on packets are allowed."""
        self._owner = peer
        self._frames.grow(self._limits.control_frame_bytes)

    def buffer(self) -> memoryview:
        """Where the next bytes belong; not to be asked for while ``is_blocked``."""
        if self._lease is not None:
            return self._lease.memory[self._filled :]
        return self._frames.free()

    def received(self, count: int) -> Iterator[Arrival]:
        """What ``count`` more bytes in ``buffer()`` have completed."""
        self.total_bytes += count
        if self._lease is not None:
            self._filled += count
        else:
            self._frames.added(count)
        return self.retry()

    def retry(self) -> Iterator[Arrival]:
        """What can be completed of the bytes that are here."""
        has_advanced = True
        while has_advanced:
            has_advanced, arrival = self._step()
            if arrival is not None:
                yield arrival

    def close(self) -> None:
        """The link is gone: give the memory back."""
        if self._lease is not None:
            self._lease.abandon()
        self._lease = None
        self._header = None

    def _step(self) -> tuple[bool, Arrival | None]:
        """Whether there was anything to do, and what that completed."""
        if self._lease is not None:
            envelope = self._finished_message(self._lease)
            return envelope is not None, envelope
        found = self._frames.header()
        if found is None:
            return False, None
        length, number = found
        if self._header is not None:
            return self._begin_body(self._header, length, number), None
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

    def _decoded(self, type: FrameType | None, payload: bytes) -> Arrival | None:
        if self._owner is None:
            self._check_greeting_budget()
        match type:
            case None:  # a frame to skip
                return None
            case FrameType.HELLO | FrameType.AUTH | FrameType.WELCOME:
                return Proof(type, payload)
            case FrameType.MESSAGE:
                return self._begun_message(decode_message_header(payload, self._schema))
            case _:
                return _DECODERS[type](payload)

    def _check_greeting_budget(self) -> None:
        self._strange_frames += 1
        has_many = self._strange_frames > self._limits.greeting_frames
        if has_many or self.total_bytes > self._limits.greeting_bytes:
            raise RemoteError("too much was sent before the greeting", code="too_big")

    def _begun_message(self, header: MessageHeader) -> Packet | None:
        """The message if it has no body; else its header is kept for the frame that must come next."""
        if header.layout.size_bytes == 0:
            return header.envelope(np.empty(0, np.uint8))
        self._header = header
        return None

    def _begin_body(self, header: MessageHeader, length: int, number: int) -> bool:
        """Lease memory for the body that begins here; False when there is none for now."""
        assert self._owner is not None
        size_bytes = header.layout.size_bytes
        if (number, length) != (FrameType.BODY, size_bytes):
            found = f"a frame of type 0x{number:02x} and {length} bytes in place of a body of {size_bytes}"
            raise RemoteError(found, code="wrong_schema")
        capacity = self._schema.capacity(header.kind)
        self._lease = self._pool.lease(self._owner, capacity=capacity, size_bytes=size_bytes)
        if self._lease is None:
            return False
        self._frames.take_header()
        self._filled = self._frames.move_into(self._lease.memory)
        return True

    def _finished_message(self, lease: Lease) -> Packet | None:
        assert self._header is not None
        if self._filled < self._header.layout.size_bytes:
            return None
        envelope = self._header.envelope(lease.complete())
        self._header = None
        self._lease = None
        return envelope
