"""Frames: an 8-byte header in front of each piece of the conversation.

Big-endian ``u32 length | u8 type | u8 flags | u16 stream``, then ``length`` bytes.  Flags and stream are zero
and ignored.  A type of 0x80 and above that is not known is skipped, one below closes the link, so that a
later minor version may add both kinds.
"""

import struct
from enum import IntEnum

from p2pfl.errors import RemoteError
from p2pfl.wire.limits import Limits

HEADER = struct.Struct(">IBBH")
HEADER_BYTES = HEADER.size
MAX_FRAME_BYTES = 2**32 - 1
# A body goes in frames of this length, the last one shorter, so that heartbeats and answers get in between.
# As much as Linux lets a socket hold: smaller writes cost wake-ups (a tenth of the speed at 1 MiB).
BODY_FRAME_BYTES = 4 * 1024 * 1024
FIRST_SKIPPABLE = 0x80


class FrameType(IntEnum):
    """What a frame holds; 0x01 to 0x03 belong to the authenticated handshake."""

    HELLO = 0x01
    AUTH = 0x02
    WELCOME = 0x03
    REFUSED = 0x04
    INFO = 0x05  # a Greeting
    HEARTBEAT = 0x10
    MESSAGE = 0x11  # a message of words only
    BODY = 0x12  # a piece of the arrays of the message that was accepted, raw
    GOODBYE = 0x13
    OFFER = 0x14  # a message with arrays, all but the arrays
    ACCEPT = 0x15
    REJECT = 0x16
    RECEIPT = 0x17
    PING = 0x18
    PONG = 0x19


BEFORE_GREETING = frozenset({FrameType.INFO, FrameType.REFUSED})
AFTER_GREETING = frozenset(FrameType) - frozenset(
    {FrameType.HELLO, FrameType.AUTH, FrameType.WELCOME, FrameType.INFO, FrameType.BODY}
)


def frame_header(type: FrameType, length: int) -> bytes:
    """The 8 bytes in front of a frame of ``length`` bytes."""
    return HEADER.pack(length, type, 0, 0)


def frame(type: FrameType, payload: bytes) -> bytes:
    """A whole frame."""
    return frame_header(type, len(payload)) + payload


def checked_type(
    type: int,
    length: int,
    *,
    is_greeted: bool,
    limits: Limits,
    opening: frozenset[FrameType] = BEFORE_GREETING,
) -> FrameType | None:
    """The type of a frame that may come now and is not too long; None for one to skip.

    Called with the header alone, before anything is read or allocated for the frame.  A body is not judged
    here: only the offer that was accepted says how long it must be.  ``opening`` are the types that may come
    before the greeting is accepted.
    """
    allowed = AFTER_GREETING if is_greeted else opening
    if type < FIRST_SKIPPABLE and type not in allowed:
        raise RemoteError(f"a frame of type 0x{type:02x} has no place here", code="unexpected_frame")
    cap = limits.control_frame_bytes if is_greeted else limits.greeting_frame_bytes
    if length > cap:
        raise RemoteError(f"a frame of {length} bytes; at most {cap} are allowed here", code="too_big")
    return FrameType(type) if type < FIRST_SKIPPABLE else None
