"""Frames that open and end a link: greetings, refusals, good-byes.

A greeting stands behind ``"P2PN", major u8, minor u8``, which no version will change, so that two nodes of
different major versions can tell each other so.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from p2pfl.errors import RemoteError
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION, Goodbye, Greeting
from p2pfl.wire.record import MAX_TEXT, cleaned, is_word, pack, unpack

MAGIC = b"P2PN"
PROLOGUE = struct.Struct(">4sBB")
REFUSAL = struct.Struct(">H")
# What a REFUSED says, for machines; numbers are never used twice.  An unknown one is a plain "refused".
REFUSAL_CODES: Mapping[str, int] = {
    "refused": 0,
    "malformed": 1,
    "wrong_version": 2,
    "wrong_network": 3,
    "weak_key": 4,
    "own_id": 5,
    "bad_signature": 6,
    "not_admitted": 7,
    "duplicate_id": 8,
    "wrong_network_key": 9,
    "wrong_plan": 10,
    "unexpected_frame": 11,
    "too_big": 12,
    "probe": 13,  # who looks, and wants no link
    "crowded": 14,
    "wrong_schema": 15,
    "trust_changed": 16,
}
_WORDS = {number: word for word, number in REFUSAL_CODES.items()}
MAX_REASON = 500  # characters of a refusal, which quotes the words of two plans or models


@dataclass(frozen=True, slots=True)
class Refused:
    """No link: a stable word (``wrong_plan``), and the reason in the words of whoever reads it."""

    code: str
    text: str = ""


def encode_greeting(greeting: Greeting) -> bytes:
    """The frame of a greeting."""
    if not is_word(greeting.id):
        raise ValueError(f"a node id of printable characters, not {greeting.id!r}")
    values = {
        "id": greeting.id,
        "name": greeting.name[:MAX_TEXT],
        "network": greeting.network,
        "incarnation": greeting.incarnation,
        "boot": greeting.boot,
        "plan": greeting.plan,
        "plan_words": greeting.plan_words[:MAX_TEXT],
        "address": greeting.address[:MAX_TEXT],
        "accepts_you": greeting.accepts_you,
        "shares_with_you": greeting.shares_with_you,
        "version": greeting.version[:MAX_TEXT],
        "schema": greeting.schema,
        "schema_words": greeting.schema_words[:MAX_TEXT],
        "role": greeting.role,
    }
    return frame(FrameType.INFO, PROLOGUE.pack(MAGIC, MAJOR_VERSION, MINOR_VERSION) + pack(values))


def decode_greeting(payload: bytes) -> Greeting:
    """The greeting in a frame; raises RemoteError, with code ``wrong_version`` for another major version."""
    if len(payload) < PROLOGUE.size:
        raise RemoteError("a greeting that is too short")
    magic, major, minor = PROLOGUE.unpack_from(payload)
    if magic != MAGIC:
        raise RemoteError("the other side does not speak p2pnode", code="wrong_version")
    if major != MAJOR_VERSION:
        what = f"protocol version {major}.{minor} there, {MAJOR_VERSION}.{MINOR_VERSION} here"
        raise RemoteError(what, code="wrong_version")
    record = unpack(payload[PROLOGUE.size :])
    return Greeting(
        id=record.word("id"),
        name=record.text("name"),
        network=record.octets("network", length=32),
        incarnation=record.integer("incarnation"),
        boot=record.octets("boot", length=8),
        plan=record.octets("plan", length=8),
        plan_words=record.text("plan_words"),
        address=record.text("address"),
        accepts_you=record.flag("accepts_you", default=True),
        shares_with_you=record.flag("shares_with_you", default=True),
        version=record.text("version"),
        schema=record.octets("schema", length=8),
        schema_words=record.text("schema_words"),
        role=record.word("role"),
    )


def encode_goodbye(goodbye: Goodbye) -> bytes:
    """The frame of a good-bye."""
    if not is_word(goodbye.code):
        raise ValueError(f"a code of printable characters, not {goodbye.code!r}")
    return frame(FrameType.GOODBYE, pack({"code": goodbye.code, "text": goodbye.text[:MAX_TEXT]}))


def decode_goodbye(payload: bytes) -> Goodbye:
    """The good-bye in a frame; raises RemoteError."""
    record = unpack(payload)
    return Goodbye(code=record.word("code"), text=record.text("text"))


def encode_refused(refused: Refused) -> bytes:
    """The frame of a refusal: the number of its code, and the text."""
    number = REFUSAL_CODES.get(refused.code, REFUSAL_CODES["refused"])
    return frame(FrameType.REFUSED, REFUSAL.pack(number) + refused.text[:MAX_REASON].encode())


def decode_refused(payload: bytes) -> Refused:
    """The refusal in a frame; raises RemoteError."""
    if len(payload) < REFUSAL.size:
        raise RemoteError("a refusal without a code")
    (number,) = REFUSAL.unpack_from(payload)
    text = payload[REFUSAL.size :].decode("utf-8", "replace")
    return Refused(code=_WORDS.get(number, "refused"), text=cleaned(text, MAX_REASON))
