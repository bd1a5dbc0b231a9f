import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.membership import Heartbeat
from p2pfl.wire import bodies
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.framing import FrameType, frame, frame_header
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from p2pfl.wire.inbound import Arrival, Inbound, Skipped
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import encode_goodbye, encode_greeting
from p2pfl.wire.message_codec import OfferedMessage, encode_message
from p2pfl.wire.packets import Accept, Envelope, Goodbye, Greeting
from p2pfl.wire.pool import BufferPool
from p2pfl.wire.record import pack
from tests.examples import examples
from tests.p2pfl.wire.samples import BODIES, GREETING, SCHEMA, as_bytes, assert_same_message, envelope, note

HEARTBEAT = Heartbeat(1, b"roster")


def inbound(limits: Limits | None = None, *, has_greeted: bool = True) -> Inbound:
    limits = limits or Limits()
    found = Inbound(limits, SCHEMA, BufferPool(limits, lambda: None))
    if has_greeted:
        found.accept("anna")
    return found


def feed(receiver: Inbound, data: bytes, step: int = 1_000_000) -> Iterator[Arrival]:
    """Deliver bytes at most ``step`` at a time, as a socket would, and want every body that is offered."""
    while data:
        memory = receiver.buffer()
        count = min(step, len(memory), len(data))
        assert count > 0, "a buffer without room"
        memory[:count] = data[:count]
        data = data[count:]
        for arrival in receiver.received(count):
            if isinstance(arrival, OfferedMessage):
                receiver.offers.decide(arrival.flaw, 0.0)
            else:
                yield arrival


@pytest.mark.parametrize("step", [1, 3, 7, 8, 9, 64, 1_000_000])
def test_packets_come_out_as_they_went_in_wherever_the_bytes_are_cut(step: int) -> None:
    sent = [envelope(1), envelope(2, "tracking"), note(3), envelope(4)]
    data = b"".join(map(as_bytes, sent)) + encode_heartbeat(HEARTBEAT) + encode_goodbye(Goodbye("leaving"))

    *found, heartbeat, goodbye = feed(inbound(), data, step)

    assert (heartbeat, goodbye) == (HEARTBEAT, Goodbye("leaving"))
    assert len(found) == len(sent)
    for arrival, packet in zip(found, sent, strict=True):
        assert isinstance(arrival, Envelope)
        assert arrival.roster == packet.roster
        assert_same_message(arrival.message, packet.message)


def test_arrays_received_are_read_only() -> None:
    (found,) = feed(inbound(), as_bytes(envelope()))

    assert isinstance(found, Envelope)
    assert found.message.model is not None
    assert not found.message.model.params.flags.writeable


def test_a_greeting_comes_first_and_then_packets_in_the_same_breath() -> None:
    receiver = inbound(has_greeted=False)
    found: list[Arrival] = []
    for arrival in feed(receiver, encode_greeting(GREETING) + encode_heartbeat(HEARTBEAT)):
        found.append(arrival)  # the receiver must be told in between
        if isinstance(arrival, Greeting):
            receiver.accept(arrival.id)

    assert found == [GREETING, HEARTBEAT]


@pytest.mark.parametrize(
    "data", [encode_heartbeat(HEARTBEAT), as_bytes(note(1)), frame_header(FrameType.BODY, 8)]
)
def test_nothing_but_a_greeting_is_read_before_the_greeting(data: bytes) -> None:
    with pytest.raises(RemoteError, match="no place"):
        list(feed(inbound(has_greeted=False), data))


def test_too_much_before_the_greeting_is_refused_even_if_it_may_be_skipped() -> None:
    skippable = bytes([0, 0, 0, 0, 0x80, 0, 0, 0])
    assert list(feed(inbound(has_greeted=False), skippable * 8)) == [Skipped()] * 8

    with pytest.raises(RemoteError, match="too much"):
        list(feed(inbound(has_greeted=False), skippable * 9))


def test_frames_of_later_minor_versions_are_skipped() -> None:
    later = bytes([0, 0, 0, 5, 0xF0, 1, 0, 7]) + b"later"

    assert list(feed(inbound(), later + encode_heartbeat(HEARTBEAT) + later)) == [
        Skipped(),
        HEARTBEAT,
        Skipped(),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        frame_header(FrameType.BODY, 0),
        frame_header(FrameType.BODY, 27),
        frame_header(FrameType.BODY, 2**32 - 1),
    ],
)
def test_a_body_comes_in_frames_of_the_right_length_alone(wrong: bytes) -> None:
    head, _ = encode_message(envelope(), SCHEMA)

    with pytest.raises(RemoteError, match="of a body in place of 28"):
        list(feed(inbound(), head + wrong))


def test_a_body_without_an_accepted_offer_or_a_second_one_is_refused() -> None:
    whole = as_bytes(envelope())
    body = whole[-36:]
    for data in (body, whole + body):
        with pytest.raises(RemoteError, match="not accepted"):
            list(feed(inbound(), data))


def test_between_the_frames_of_a_body_heartbeats_and_answers_come_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "BODY_FRAME_BYTES", 16)
    whole, beat = as_bytes(envelope()), encode_heartbeat(HEARTBEAT)
    second = len(whole) - 12 - 8
    for step in (1, 5, 1_000_000):
        found = list(feed(inbound(), whole[:second] + beat + whole[second:] + beat, step))

        assert [type(each) for each in found] == [Heartbeat, Envelope, Heartbeat]
        assert isinstance(found[1], Envelope)
        assert_same_message(found[1].message, envelope().message)


def test_a_length_of_four_gigabytes_allocates_nothing() -> None:
    tracemalloc.start()
    for number in (*range(0x18), 0x80, 0xFF):
        with pytest.raises(RemoteError):
            list(feed(inbound(), bytes([0xFF, 0xFF, 0xFF, 0xFF, number, 0, 0, 0])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


def test_a_map_of_a_million_entries_is_refused_before_it_is_built() -> None:
    receiver = inbound(Limits(control_frame_bytes=2**20 + 16))
    bomb = frame(FrameType.HEARTBEAT, b"\xdd\x00\x0f\xff\xf0" + b"\x80" * 0xFFFF0)
    tracemalloc.start()
    with pytest.raises(RemoteError, match="msgpack"):
        list(feed(receiver, bomb))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4_000_000


def test_an_offer_waits_until_there_is_memory() -> None:
    receiver = inbound(Limits(held_models=1, offer_wait_s=5))
    first, second = as_bytes(envelope(1)), as_bytes(envelope(2))
    kept = list(feed(receiver, first + second[:-36]))

    assert len(kept) == 1
    assert receiver.offers.is_waiting
    assert receiver.offers.retry(4.9) is None  # no memory yet
    kept.clear()
    assert receiver.offers.retry(4.9) == Accept(0)
    (found,) = feed(receiver, second[-36:])

    assert isinstance(found, Envelope)
    assert found.message.round == 2


def test_a_link_that_ends_in_the_middle_of_a_body_gives_the_memory_back() -> None:
    limits = Limits()
    pool = BufferPool(limits, lambda: None)
    receiver = Inbound(limits, SCHEMA, pool)
    receiver.accept("anna")
    list(feed(receiver, as_bytes(envelope())[:-1]))
    assert receiver.frame_bytes_missing == 1
    assert pool.held("anna") == 1

    receiver.close()

    assert pool.held("anna") == 0


def test_a_large_body_is_received_into_one_piece_of_memory() -> None:
    parameters = 300_000
    schema = BodySchema(parameters, BODIES, Limits())
    receiver = Inbound(Limits(), schema, BufferPool(Limits(), lambda: None))
    receiver.accept("anna")
    sent = envelope(parameters=parameters)
    head, (body,) = encode_message(sent, schema)

    list(feed(receiver, head + frame_header(FrameType.BODY, len(body))))
    assert len(receiver.buffer()) == len(body)
    (found,) = feed(receiver, bytes(body), 100_000)

    assert isinstance(found, Envelope)
    assert_same_message(found.message, sent.message)


# What a hostile peer may send: noise, true frames with noise inside, and true frames bent a little.
KEYS = [
    "kind",
    "round",
    "roster",
    "model",
    "age",
    "weight",
    "params",
    "fields",
    "body",
    "rumours",
    "member",
    "code",
    "text",
    "id",
    "name",
    "network",
    "incarnation",
    "boot",
    "plan",
    "state",
    "address",
    "accepts_you",
    "start",
    "sequence",
    "schema",
    "role",
]
number = st.integers(-(2**63), 2**64 - 1) | st.floats() | st.sampled_from([0, 1, 7, 28])
plain = st.none() | st.booleans() | number | st.text(max_size=8) | st.binary(max_size=33)
keys = st.sampled_from(KEYS)
inner = plain | st.lists(number, max_size=3) | st.dictionaries(keys, number, max_size=3)
maps = st.dictionaries(keys, inner, max_size=8).map(pack)
payloads = st.binary(max_size=80) | maps | maps.map(lambda packed: b"P2PN\x01\x00" + packed)
framed = st.builds(
    lambda number, payload: len(payload).to_bytes(4, "big") + bytes([number, 0, 0, 0]) + payload,
    st.sampled_from([*FrameType, 0x80, 0x7F]),
    payloads,
)
TRUE_BYTES = (
    encode_greeting(GREETING) + as_bytes(envelope()) + encode_heartbeat(HEARTBEAT) + as_bytes(note(2))
)


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """True bytes with one piece replaced by noise."""
    start = draw(st.integers(0, len(TRUE_BYTES)))
    end = start + draw(st.integers(0, 4))
    return TRUE_BYTES[:start] + draw(st.binary(max_size=4)) + TRUE_BYTES[end:]


streams = st.binary(max_size=100) | st.lists(framed, max_size=2).map(b"".join) | bent()


@given(streams, st.booleans(), st.integers(1, 200))
@examples(500)
def test_any_bytes_are_packets_or_a_remote_error(data: bytes, has_greeted: bool, step: int) -> None:
    receiver = inbound(has_greeted=has_greeted)
    try:
        for arrival in feed(receiver, data, step):
            if isinstance(arrival, Greeting):
                receiver.accept(arrival.id)
            if isinstance(arrival, Envelope) and arrival.message.model is not None:
                assert arrival.message.model.params.size == SCHEMA.parameters
    except RemoteError:
        pass  # the one error that may come of it
    receiver.close()
