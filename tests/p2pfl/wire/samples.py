"""Values that travel, for the tests of the wire and of the transports."""

from dataclasses import replace

import numpy as np

from p2pfl.events import Message
from p2pfl.model import Model
from p2pfl.wire.bodies import BodySchema, body_frames
from p2pfl.wire.limits import Limits
from p2pfl.wire.message_codec import encode_message
from p2pfl.wire.packets import Envelope, Greeting

PARAMETERS = 7
BODIES = {"model": (1, "float32"), "tracking": (2, "float32"), "total": (2, "float64"), "codes": (1, "uint8")}
SCHEMA = BodySchema(PARAMETERS, BODIES, Limits())

GREETING = Greeting(
    id="anna",
    name="Anna's laptop",
    network=b"n" * 32,
    incarnation=3,
    boot=b"bootboot",
    plan=b"planplan",
    plan_words="ring, gossip_averaging, digits, seed 0",
    address="tcp://127.0.0.1:7964",
    shares_with_you=False,
    schema=b"schemas!",
    schema_words="x: 7",
)


def greeting(id: str, plan_words: str = "ring") -> Greeting:
    """The greeting of a node in the common network; other words mean another plan."""
    plan = plan_words.encode().ljust(8, b".")[:8]
    return replace(GREETING, id=id, name=id, plan=plan, plan_words=plan_words)


def model(parameters: int = PARAMETERS, age: int = 2) -> Model:
    """A model whose parameters tell where they stand."""
    return Model(np.arange(parameters, dtype=np.float32) / np.float32(3), age, 1.5)


def envelope(round: int = 1, kind: str = "model", parameters: int = PARAMETERS) -> Envelope:
    """A message with a model."""
    return Envelope(Message(kind, round, model(parameters)), b"roster")


def note(round: int, kind: str = "note") -> Envelope:
    """A message without a model."""
    return Envelope(Message(kind, round), b"roster")


def as_bytes(packet: Envelope, schema: BodySchema = SCHEMA) -> bytes:
    """A message as a sender writes it that is sure of being accepted."""
    head, pieces = encode_message(packet, schema)
    frames = body_frames(pieces) if packet.message.has_arrays else ()
    return head + b"".join(part for frame in frames for part in frame)


def assert_same_message(found: Message, sent: Message) -> None:
    """Equal in everything, arrays by their bytes."""
    assert (found.kind, found.round, dict(found.fields)) == (sent.kind, sent.round, dict(sent.fields))
    assert (found.model is None) == (sent.model is None)
    if found.model is not None and sent.model is not None:
        assert (found.model.age, found.model.weight) == (sent.model.age, sent.model.weight)
        assert found.model.params.tobytes() == sent.model.params.tobytes()
    assert [array.dtype for array in found.body] == [array.dtype for array in sent.body]
    assert [array.tobytes() for array in found.body] == [array.tobytes() for array in sent.body]
