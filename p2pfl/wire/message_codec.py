"""Frames of a protocol's messages: a small header, then the arrays as they are."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import RemoteError
from p2pfl.events import MAX_FIELD_BYTES, MAX_FIELDS, Message
from p2pfl.model import Model
from p2pfl.wire.bodies import BodySchema, Layout, arrays_of
from p2pfl.wire.framing import FrameType, frame, frame_header
from p2pfl.wire.heartbeat_codec import MAX_ROSTER_HASH
from p2pfl.wire.packets import Envelope
from p2pfl.wire.record import MAX_INTEGER, Record, is_word, pack, unpack


@dataclass(frozen=True, slots=True, eq=False)
class MessageHeader:
    """A message that waits for its body: all but the arrays, and where they will lie."""

    kind: str
    round: int
    roster: bytes
    fields: dict[str, int | float | str | bytes]
    age_and_weight: tuple[int, float] | None
    layout: Layout

    def envelope(self, body: NDArray[np.uint8]) -> Envelope:
        """The whole message, its arrays being views of ``body``."""
        arrays = self.layout.views(body)
        model = None
        if self.age_and_weight is not None:
            age, weight = self.age_and_weight
            model = Model(arrays.pop(0).view(np.float32), age, weight)
        return Envelope(Message(self.kind, self.round, model, self.fields, tuple(arrays)), self.roster)


def encode_message(envelope: Envelope, schema: BodySchema) -> tuple[bytes, list[memoryview]]:
    """The frame of the header with the header of the body's frame behind it, and the body in pieces.

    Raises ValueError for a message outside the limits of ``p2pfl.events`` or its protocol's declaration.
    """
    message = envelope.message
    layout = schema.layout_of(message)
    _check_own(message, envelope.roster)
    values: dict[str, object] = {"kind": message.kind, "round": message.round, "roster": envelope.roster}
    if message.model is not None:
        values["model"] = {
            "age": message.model.age,
            "weight": float(message.model.weight),
            "params": message.model.params.size,
        }
    if message.fields:
        values["fields"] = dict(message.fields)
    if message.body:
        values["body"] = [array.size for array in message.body]
    head = frame(FrameType.MESSAGE, pack(values))
    if layout.size_bytes:
        head += frame_header(FrameType.BODY, layout.size_bytes)
    return head, layout.pieces(arrays_of(message))


def decode_message_header(payload: bytes, schema: BodySchema) -> MessageHeader:
    """All but the arrays of a message; raises RemoteError, also for arrays that the local schema forbids."""
    record = unpack(payload)
    kind = record.word("kind")
    model = record.record("model", at_most=MAX_FIELDS)
    age_and_weight = None
    if model is not None:
        age_and_weight = _decode_model(model, schema.parameters)
    return MessageHeader(
        kind=kind,
        round=record.integer("round"),
        roster=record.octets("roster", at_most=MAX_ROSTER_HASH),
        fields=_decode_fields(record),
        age_and_weight=age_and_weight,
        layout=schema.layout(kind, has_model=model is not None, lengths=_decode_lengths(record)),
    )


def _decode_lengths(record: Record) -> list[int]:
    lengths = []
    for length in record.items("body", at_most=MAX_FIELDS):
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise RemoteError("body is not a list of lengths")
        lengths.append(length)
    return lengths


def _decode_model(record: Record, parameters: int) -> tuple[int, float]:
    found = record.integer("params")
    if found != parameters:
        raise RemoteError(f"a model of {found} parameters; ours has {parameters}", code="wrong_schema")
    return record.integer("age"), record.number("weight")


def _decode_fields(record: Record) -> dict[str, int | float | str | bytes]:
    found = record.record("fields", at_most=MAX_FIELDS)
    fields: dict[str, int | float | str | bytes] = {}
    for name, value in found.pairs() if found is not None else []:
        if type(name) is not str or not is_word(name):
            raise RemoteError("a field whose name is no word")
        if not isinstance(value, int | float | str | bytes) or not _is_field(value):
            raise RemoteError(f"field {name} is not a finite number, nor a short text or bytes")
        fields[name] = value
    return fields


def _is_field(value: int | float | str | bytes) -> bool:
    """Whether a field's value is small, finite, and not a bool, which would come back as one."""
    match value:
        case bool():
            return False
        case int():
            return -MAX_INTEGER - 1 <= value <= MAX_INTEGER
        case float():
            return math.isfinite(value)
        case str():
            return len(value.encode(errors="replace")) <= MAX_FIELD_BYTES
        case bytes():
            return len(value) <= MAX_FIELD_BYTES


def _check_own(message: Message, roster: bytes) -> None:
    if not is_word(message.kind) or not 0 <= message.round <= MAX_INTEGER:
        raise ValueError(f"a message of kind {message.kind!r} in round {message.round}")
    if len(message.fields) > MAX_FIELDS or len(roster) > MAX_ROSTER_HASH:
        raise ValueError(f"a message with {len(message.fields)} fields and a roster of {len(roster)} bytes")
    for name, value in message.fields.items():
        if not is_word(name) or not _is_field(value):
            raise ValueError(f"field {name!r} of a message of kind {message.kind!r} is {value!r}")
    model = message.model
    if model is not None and not (model.age >= 0 and 0 <= model.weight < math.inf):
        raise ValueError(f"a model of age {model.age} and weight {model.weight}")
