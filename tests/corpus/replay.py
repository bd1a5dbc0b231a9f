"""A recorded stream through the receiving half of a link, and what came of it in plain words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from p2pfl.wire.framing import BEFORE_GREETING, FrameType
from p2pfl.wire.inbound import Inbound, Skipped
from p2pfl.wire.limits import Limits
from p2pfl.wire.message_codec import OfferedMessage
from p2pfl.wire.pool import BufferPool
from tests.corpus.samples import GREETED, OPENING, Stream
from tests.p2pfl.wire.samples import SCHEMA

FOLDER = Path(__file__).parent
VERSION = "1.0"
PROOFS = frozenset({FrameType.HELLO, FrameType.AUTH, FrameType.WELCOME, FrameType.REFUSED})


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line of a file: the stream, the type that it stands for ("" for any), and what came of it."""

    stream: Stream
    type: str
    outcome: object  # the arrivals in plain words, or the code of the refusal


def arrivals(stream: Stream) -> list[object]:
    """What comes of a stream; raises RemoteError."""
    limits = Limits()
    receiver = Inbound(limits, SCHEMA, BufferPool(limits, lambda: None))
    if stream.state == GREETED:
        receiver.accept("anna")
    else:
        receiver.expect(PROOFS if stream.state == OPENING else BEFORE_GREETING)
    try:
        return list(_fed(receiver, stream.data))
    finally:
        receiver.close()


def in_words(value: object) -> object:
    """A value as JSON can say it: classes by name, bytes and arrays in hex."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: in_words(getattr(value, field.name)) for field in fields(value)}
        return {"class": type(value).__name__, **named}
    match value:
        case np.ndarray() | bytes():
            kind = {"dtype": value.dtype.str} if isinstance(value, np.ndarray) else {}
            return {**kind, "hex": bytes(value).hex()}
        case Enum():
            return value.name
        case Mapping():
            return {str(key): in_words(item) for key, item in value.items()}
        case list() | tuple():
            return [in_words(item) for item in value]
    return value


def write(name: str, lines: list[Recorded]) -> None:
    """Record lines as the file of that name of the present version."""
    rows = [
        {
            "name": line.stream.name,
            "type": line.type,
            "state": line.stream.state,
            "hex": line.stream.data.hex(),
            "outcome": line.outcome,
        }
        for line in lines
    ]
    (FOLDER / f"{VERSION}.{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def read(name: str) -> list[Recorded]:
    """All lines of the files of that name, of every version."""
    rows = [
        json.loads(line)
        for path in sorted(FOLDER.glob(f"*.{name}.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return [
        Recorded(Stream(row["name"], row["state"], bytes.fromhex(row["hex"])), row["type"], row["outcome"])
        for row in rows
    ]


def _fed(receiver: Inbound, data: bytes) -> Iterator[object]:
    while data:
        memory = receiver.buffer()
        count = min(len(memory), len(data))
        memory[:count] = data[:count]
        data = data[count:]
        for arrival in receiver.received(count):
            if isinstance(arrival, OfferedMessage):
                if arrival.flaw is not None:  # it would be rejected, and the link go on
                    raise arrival.flaw
                receiver.offers.decide(None, now_s=0.0)
            if not isinstance(arrival, Skipped):  # which has no meaning to keep
                yield arrival
