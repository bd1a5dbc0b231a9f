"""Pings and what comes back of them: the same bytes, so that a peer's answer can be timed.

Both ends keep an ``EchoAllowance``: pings beyond it are dropped without a word, since an answer
costs as much as the question, and an answer that nobody asked for has no place.
"""

from dataclasses import dataclass

from p2pfl.errors import RemoteError
from p2pfl.wire.framing import FrameType, frame

MAX_PING_BYTES = 60 * 1024
ECHOES_PER_S = 20.0  # answered per peer, and as many at once


@dataclass(frozen=True, slots=True)
class Ping:
    """Send these bytes back at once."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong:
    """The bytes of a ping, back from the peer."""

    payload: bytes = b""


class EchoAllowance:
    """How many pings of a peer are answered (``ECHOES_PER_S``), and how many answers it owes."""

    def __init__(self) -> None:
        self._awaited = 0
        self.dropped = 0  # pings that were not answered
        self._left = ECHOES_PER_S
        self._since_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Whether one more is answered now."""
        if self._since_s is not None:
            self._left = min(ECHOES_PER_S, self._left + (now_s - self._since_s) * ECHOES_PER_S)
        self._since_s = now_s
        if self._left < 1:
            self.dropped += 1
            return False
        self._left -= 1
        return True

    def sent(self, packet: object) -> None:
        """Something is sent to the peer; to a ping it may answer, once."""
        self._awaited += isinstance(packet, Ping)

    def returned(self) -> None:
        """An answer has come; raises RemoteError when none is awaited."""
        if self._awaited == 0:
            raise RemoteError("an answer to a ping that was not sent", code="unexpected_frame")
        self._awaited -= 1


def encode_ping(packet: Ping | Pong) -> bytes:
    """The frame of a ping or of its answer."""
    if len(packet.payload) > MAX_PING_BYTES:
        raise ValueError(f"a ping of {len(packet.payload)} bytes, at most {MAX_PING_BYTES}")
    return frame(FrameType.PING if isinstance(packet, Ping) else FrameType.PONG, packet.payload)


def decode_ping(payload: bytes) -> Ping:
    """The ping in a frame; raises RemoteError for one that is too long."""
    return Ping(_checked(payload))


def decode_pong(payload: bytes) -> Pong:
    """The answer in a frame; raises RemoteError for one that is too long."""
    return Pong(_checked(payload))


def _checked(payload: bytes) -> bytes:
    if len(payload) > MAX_PING_BYTES:
        found = f"a ping of {len(payload)} bytes; at most {MAX_PING_BYTES} are allowed"
        raise RemoteError(found, code="too_big")
    return payload
