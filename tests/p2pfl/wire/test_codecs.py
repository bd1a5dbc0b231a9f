from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.events import MAX_FIELD_BYTES, MAX_FIELDS, Message
from p2pfl.membership import MAX_RUMOURS, Heartbeat, Rumour, State
from p2pfl.model import Model
from p2pfl.wire.framing import HEADER_BYTES
from p2pfl.wire.greetings import refusal
from p2pfl.wire.heartbeat_codec import decode_heartbeat, encode_heartbeat
from p2pfl.wire.link_codec import (
    REFUSAL_CODES,
    Refused,
    decode_goodbye,
    decode_greeting,
    decode_refused,
    encode_goodbye,
    encode_greeting,
    encode_refused,
)
from p2pfl.wire.message_codec import decode_message, decode_offer, encode_message
from p2pfl.wire.offer_codec import decode_accept, decode_receipt, decode_reject, encode_answer
from p2pfl.wire.packets import Accept, Envelope, Goodbye, Greeting, Receipt, Reject
from p2pfl.wire.record import cleaned, pack, unpack
from tests.p2pfl.wire.samples import GREETING, PARAMETERS, SCHEMA, assert_same_message, greeting, model

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
texts = st.text(st.characters(codec="utf-8"), max_size=200).map(cleaned)
whole = st.integers(0, 2**63 - 1)

greetings = st.builds(
    Greeting,
    id=words,
    name=texts,
    network=st.binary(min_size=32, max_size=32),
    incarnation=whole,
    boot=st.binary(min_size=8, max_size=8),
    plan=st.binary(min_size=8, max_size=8),
    plan_words=texts,
    address=texts,
    accepts_you=st.booleans(),
    shares_with_you=st.booleans(),
    schema=st.binary(min_size=8, max_size=8),
    schema_words=texts,
    role=words,
)
rumours = st.builds(Rumour, words, whole, st.sampled_from(State), texts, texts)
heartbeats = st.builds(Heartbeat, whole, st.binary(max_size=32), st.lists(rumours, max_size=3).map(tuple))
values = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=64),
    st.binary(max_size=MAX_FIELD_BYTES),
)
fields = st.dictionaries(words, values, max_size=MAX_FIELDS)


def payload(frame: bytes) -> bytes:
    return frame[HEADER_BYTES:]


def through_the_wire(envelope: Envelope) -> Message:
    head, pieces = encode_message(envelope, SCHEMA)
    if not envelope.message.has_arrays:
        found = decode_message(payload(head))
    else:
        found = decode_offer(payload(head), SCHEMA).envelope(np.frombuffer(b"".join(pieces), np.uint8))
    assert (found.roster, found.start, found.sequence) == (
        envelope.roster,
        envelope.start,
        envelope.sequence,
    )
    return found.message


@given(greetings)
def test_a_greeting_survives_the_wire(greeting: Greeting) -> None:
    assert decode_greeting(payload(encode_greeting(greeting))) == greeting


@given(heartbeats)
def test_a_heartbeat_survives_the_wire(heartbeat: Heartbeat) -> None:
    assert decode_heartbeat(payload(encode_heartbeat(heartbeat))) == heartbeat


@given(words, texts)
def test_a_goodbye_survives_the_wire(code: str, text: str) -> None:
    assert decode_goodbye(payload(encode_goodbye(Goodbye(code, text)))) == Goodbye(code, text)


@given(st.sampled_from(sorted(REFUSAL_CODES)), texts)
def test_a_refusal_survives_the_wire(code: str, text: str) -> None:
    assert decode_refused(payload(encode_refused(Refused(code, text)))) == Refused(code, text)


def test_a_refusal_of_a_later_version_is_still_a_refusal() -> None:
    later = b"\xff\xffbecause\x1b[31m \xff"

    assert decode_refused(later) == Refused("refused", "because?[31m \ufffd")
    assert decode_refused(payload(encode_refused(Refused("novel", "x")))) == Refused("refused", "x")
    with pytest.raises(RemoteError):
        decode_refused(b"\x00")


@given(words, whole, fields, st.binary(max_size=32))
def test_a_message_without_arrays_survives_the_wire(
    kind: str, round: int, fields: dict[str, int | float | str | bytes], roster: bytes
) -> None:
    message = Message(kind, round, fields=fields)

    assert_same_message(through_the_wire(Envelope(message, roster)), message)


@pytest.mark.parametrize(
    "message",
    [
        Message("model", 4, model()),
        Message("tracking", 4, model(), {"step": 0.1}, (np.arange(PARAMETERS, dtype=np.float32),)),
        Message("total", 5, model(), {}, (np.linspace(0, 1, PARAMETERS),)),
        Message("total", 5, None, {}, (np.linspace(0, 1, 3), np.linspace(0, 1, PARAMETERS))),
        Message("codes", 6, None, {"scale": 0.5}, (np.arange(5, dtype=np.uint8),)),
        Message("codes", 6, None, {}, (np.empty(0, np.uint8),)),
    ],
    ids=lambda message: f"{message.kind}-{len(message.body)}",
)
def test_the_arrays_of_a_message_survive_the_wire(message: Message) -> None:
    assert_same_message(through_the_wire(Envelope(message, b"", 3, 2**63 - 1)), message)


def test_the_arrays_are_sent_from_their_own_memory() -> None:
    sent = model()

    _, pieces = encode_message(Envelope(Message("model", 1, sent), b""), SCHEMA)

    assert len(pieces) == 1
    assert np.shares_memory(np.frombuffer(pieces[0], np.uint8), sent.params)


def test_a_full_heartbeat_fits_into_a_control_frame() -> None:
    rumour = Rumour("m" * 64, 2**63 - 1, State.DEAD, "\N{SNOWMAN}" * 200, "a" * 200)
    heartbeat = Heartbeat(2**63 - 1, b"r" * 32, (rumour,) * MAX_RUMOURS)

    assert len(payload(encode_heartbeat(heartbeat))) <= 64 * 1024


def test_a_full_greeting_fits_into_a_frame_before_the_greeting() -> None:
    long = "\N{SNOWMAN}" * 1000
    greeting = replace(GREETING, id="x" * 64, name=long, plan_words=long, address=long)

    assert len(payload(encode_greeting(greeting))) <= 4096


@pytest.mark.parametrize(
    "message",
    [
        Message("", 1),
        Message("two words", 1),
        Message("note", -1),
        Message("note", 2**63),
        Message("note", 1, fields={f"f{i}": i for i in range(MAX_FIELDS + 1)}),
        Message("note", 1, fields={"text": "x" * (MAX_FIELD_BYTES + 1)}),
        Message("note", 1, fields={"loss": float("nan")}),
        Message("note", 1, fields={"flag": True}),
        Message("note", 1, model()),
        Message("model", 1, model(PARAMETERS + 1)),
        Message("model", 1, Model(model().params, -1)),
        Message("model", 1, Model(model().params, 1, float("inf"))),
        Message("codes", 1, None, {}, (np.zeros(3, np.float32),)),
        Message("codes", 1, None, {}, (np.zeros(PARAMETERS + 1, np.uint8),)),
    ],
)
def test_a_message_of_our_own_outside_the_limits_is_a_bug_seen_before_it_is_sent(message: Message) -> None:
    with pytest.raises(ValueError, match=r"message|field|model"):
        encode_message(Envelope(message, b""), SCHEMA)


HEADER = {"kind": "model", "round": 1, "roster": b"", "start": 1, "sequence": 2}
MODEL = {"age": 1, "weight": 1.0, "params": PARAMETERS}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": {**MODEL, "weight": float("nan")}}, "malformed"),
        ({"model": {**MODEL, "weight": -1.0}}, "malformed"),
        ({"model": {**MODEL, "age": -1}}, "malformed"),
        ({"model": {**MODEL, "age": True}}, "malformed"),
        ({"model": {**MODEL, "age": 1.0}}, "malformed"),
        ({"model": [1, 1.0, PARAMETERS]}, "malformed"),
        ({"body": [-1]}, "malformed"),
        ({"body": [True]}, "malformed"),
        ({"body": "x"}, "malformed"),
        ({"model": None}, "malformed"),
        ({"start": -1}, "malformed"),
        ({"sequence": 2**63}, "malformed"),
        ({"sequence": True}, "malformed"),
        ({"kind": "k" * 65}, "malformed"),
        ({"kind": 7}, "malformed"),
        ({"round": -1}, "malformed"),
        ({"round": 2**64 - 1}, "malformed"),
        ({"round": 1.5}, "malformed"),
        ({"roster": b"x" * 33}, "malformed"),
        ({"roster": "text"}, "malformed"),
        ({"fields": {"x": float("inf")}}, "malformed"),
        ({"fields": {"x": 2**64 - 1}}, "malformed"),
        ({"fields": {"x": None}}, "malformed"),
        ({"fields": {"x": [1]}}, "malformed"),
        ({"fields": {b"x": 1}}, "malformed"),
        ({"fields": {"x": "y" * 257}}, "malformed"),
        ({"fields": {f"f{i}": i for i in range(MAX_FIELDS + 1)}}, "malformed"),
    ],
)
def test_an_offer_outside_the_limits_is_no_offer(change: dict[str, object], code: str) -> None:
    decode_offer(pack({**HEADER, "model": MODEL}), SCHEMA)

    with pytest.raises(RemoteError) as caught:
        decode_offer(pack({**HEADER, **change}), SCHEMA)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": {**MODEL, "params": PARAMETERS + 1}}, "wrong_schema"),
        ({"model": {**MODEL, "params": 2**62}}, "wrong_schema"),
        ({"model": MODEL, "body": [PARAMETERS]}, "wrong_schema"),
        ({"kind": "unknown", "model": MODEL}, "wrong_schema"),
        ({"model": None, "body": [PARAMETERS + 1]}, "too_big"),
    ],
)
def test_an_offer_for_which_there_is_no_place_is_answered_with_the_reason(
    change: dict[str, object], code: str
) -> None:
    found = decode_offer(pack({**HEADER, "model": MODEL, **change}), SCHEMA)

    assert found.flaw is not None
    assert (found.flaw.code, found.offer.sequence, found.offer.size_bytes) == (code, 2, 0)


@pytest.mark.parametrize("change", [{"kind": 7}, {"round": -1}, {"roster": "x"}, {"fields": {"x": None}}])
def test_words_outside_the_limits_are_no_message(change: dict[str, object]) -> None:
    words = {"kind": "note", "round": 1, "roster": b""}
    decode_message(pack(words))

    with pytest.raises(RemoteError):
        decode_message(pack({**words, **change}))


answers = st.one_of(
    st.builds(Accept, whole), st.builds(Reject, whole, words, texts), st.builds(Receipt, whole, words, texts)
)


@given(answers)
def test_an_answer_survives_the_wire(answer: Accept | Reject | Receipt) -> None:
    decode = {Accept: decode_accept, Reject: decode_reject, Receipt: decode_receipt}[type(answer)]

    assert decode(payload(encode_answer(answer))) == answer


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults() -> None:
    values = {"code": "leaving", "later": {"nested": [1, 2]}}

    assert decode_goodbye(pack(values)) == Goodbye("leaving", "")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x82\xa4code\xa1a\xa4code\xa1b",  # a key twice
        msgpack.packb([1, 2]),
        msgpack.packb({"code": "a"}) + b"\x00",
        msgpack.packb({1: "a"}),
        msgpack.packb({"code": msgpack.ExtType(3, b"x")}),
        msgpack.packb({"code": msgpack.Timestamp(1)}),
        msgpack.packb({"code": [None] * 4097}),
        msgpack.packb({"code": "x" * 4097}),
        b"\x81\xa4code\xa2\xff\xff",  # no UTF-8
        b"\xdf\xff\xff\xff\xff",  # four thousand million entries, it says
        b"\x91" * 2000,
    ],
)
def test_msgpack_outside_the_limits_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteError, match="msgpack"):
        unpack(payload)


def test_text_from_others_has_no_control_characters_and_an_end() -> None:
    found = decode_goodbye(pack({"code": "leaving", "text": "\x1b[31mred\n" + "x" * 500}))

    assert found.text == "?[31mred?" + "x" * 191


def test_another_major_version_is_told_from_garbage() -> None:
    frame = encode_greeting(GREETING)
    for changed in (b"P2PN\x02", b"HTTP/"):
        with pytest.raises(RemoteError) as caught:
            decode_greeting(changed + payload(frame)[5:])
        assert caught.value.code == "wrong_version"


def test_each_side_reads_a_refusal_from_where_it_stands() -> None:
    objections = refusal(greeting("anna", "ring"), greeting("bert", "star"))

    assert objections is not None
    here, there = objections
    assert (here.code, there.code) == ("wrong_plan", "wrong_plan")
    assert "theirs is star; ours is ring" in here.what
    assert "theirs is ring; ours is star" in there.what
