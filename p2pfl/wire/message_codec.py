"""Frames of a protocol's messages: words as they are, or the offer of arrays, which follow by themselves."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import RemoteError
from p2pfl.events import MAX_FIELD_BYTES, MAX_FIELDS, Message
from p2pfl.model import Model
from p2pfl.wire.bodies import BodySchema, Layout, arrays_of
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.heartbeat_codec import MAX_ROSTER_HASH
from p2pfl.wire.packets import Envelope, Offer
from p2pfl.wire.record import MAX_INTEGER, Record, is_word, pack, unpack

_NOTHING = Layout((), 0)


@dataclass(frozen=True, slots=True, eq=False)
class OfferedMessage:
    """A message that waits for its body: all but the arrays, and where they will lie.

    ``flaw`` says why the local schema has no place for them; there is no layout then.
    """

    offer: Offer
    roster: bytes
    fields: dict[str, int | float | str | bytes]
    age_and_weight: tuple[int, float] | None
    layout: Layout
    flaw: RemoteError | None = None

    def envelope(self, body: NDArray[np.uint8]) -> Envelope:
        """The whole message, its arrays being views of ``body``."""
        arrays = self.layout.views(body)
        model = None
        if self.age_and_weight is not None:
            age, weight = self.age_and_weight
            model = Model(arrays.pop(0).view(np.float32), age, weight)
        offer = self.offer
        message = Message(offer.kind, offer.round, model, self.fields, tuple(arrays))
        return Envelope(message, self.roster, offer.start, offer.sequence)


def encode_message(envelope: Envelope, schema: BodySchema) -> tuple[bytes, list[memoryview]]:
    """The frame of a message, or of the offer of one with arrays, and the pieces of its body.

    Raises ValueError for a message outside the limits of ``p2pfl.events`` or its protocol's declaration.
    """
    message = envelope.message
    layout = schema.layout_of(message)
    _check_own(message, envelope.roster)
    values: dict[str, object] = {"kind": message.kind, "round": message.round, "roster": envelope.roster}
    if message.fields:
        values["fields"] = dict(message.fields)
    if not message.has_arrays:
        return frame(FrameType.MESSAGE, pack(values)), []
    values |= {"start": envelope.start, "sequence": envelope.sequence}
    if message.model is not None:
        values["model"] = {
            "age": message.model.age,
            "weight": float(message.model.weight),
            "params": message.model.params.size,
        }
    if message.body:
        values["body"] = [array.size for array in message.body]
    return frame(FrameType.OFFER, pack(values)), layout.pieces(arrays_of(message))


def decode_message(payload: bytes) -> Envelope:
    """A message of words; raises RemoteError."""
    record = unpack(payload)
    message = Message(record.word("kind"), record.integer("round"), fields=_decode_fields(record))
    return Envelope(message, record.octets("roster", at_most=MAX_ROSTER_HASH))


def decode_offer(payload: bytes, schema: BodySchema) -> OfferedMessage:
    """An offer; raises RemoteError, but not for well-formed arrays that the local schema forbids."""
    record = unpack(payload)
    kind, lengths = record.word("kind"), _decode_lengths(record)
    model = record.record("model", at_most=MAX_FIELDS)
    layout, flaw = _NOTHING, None
    try:
        layout = _layout(schema, kind, model=model, lengths=lengths)
    except RemoteError as error:
        if error.code == "malformed":
            raise
        flaw = error
    offer = Offer(
        start=record.integer("start"),
        sequence=record.integer("sequence"),
        kind=kind,
        round=record.integer("round"),
        size_bytes=layout.size_bytes,
    )
    return OfferedMessage(
        offer=offer,
        roster=record.octets("roster", at_most=MAX_ROSTER_HASH),
        fields=_decode_fields(record),
        age_and_weight=None if model is None else (model.integer("age"), model.number("weight")),
        layout=layout,
        flaw=flaw,
    )


def _layout(schema: BodySchema, kind: str, *, model: Record | None, lengths: list[int]) -> Layout:
    if model is None and not lengths:
        raise RemoteError("an offer of nothing")
    if model is not None and (found := model.integer("params")) != schema.parameters:
        what = f"a model of {found} parameters; ours has {schema.parameters}"
        raise RemoteError(what, code="wrong_schema")
    return schema.layout(kind, has_model=model is not None, lengths=lengths)


def _decode_lengths(record: Record) -> list[int]:
    lengths = []
    for length in record.items("body", at_most=MAX_FIELDS):
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise RemoteError("body is not a list of lengths")
        lengths.append(length)
    return lengths


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
