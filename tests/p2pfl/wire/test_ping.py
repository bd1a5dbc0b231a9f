import pytest

from p2pfl.errors import RemoteError
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.inbound import Arrival, Inbound
from p2pfl.wire.limits import Limits
from p2pfl.wire.ping import ECHOES_PER_S, MAX_PING_BYTES, EchoAllowance, Ping, Pong, encode_ping
from p2pfl.wire.pool import BufferPool
from tests.p2pfl.wire.samples import SCHEMA


def arrived(data: bytes, schema: BodySchema = SCHEMA) -> list[Arrival]:
    inbound = Inbound(Limits(), schema, BufferPool(Limits(), lambda: None))
    inbound.accept("anna")
    found: list[Arrival] = []
    while data:
        room = inbound.buffer()
        count = min(len(room), len(data))
        room[:count], data = data[:count], data[count:]
        found += inbound.received(count)
    return found


@pytest.mark.parametrize("packet", [Ping(), Pong(), Ping(b"x"), Pong(bytes(MAX_PING_BYTES))])
def test_a_ping_and_its_answer_arrive_as_they_were_sent(packet: Ping | Pong) -> None:
    assert arrived(encode_ping(packet)) == [packet]


def test_the_types_on_the_wire_never_change() -> None:
    assert encode_ping(Ping(b"ab")) == b"\0\0\0\x02\x18\0\0\0ab"
    assert encode_ping(Pong(b"ab")) == b"\0\0\0\x02\x19\0\0\0ab"


@pytest.mark.parametrize("type", [FrameType.PING, FrameType.PONG])
def test_a_ping_that_is_too_long_ends_the_link(type: FrameType) -> None:
    with pytest.raises(RemoteError, match="at most 61440") as caught:
        arrived(frame(type, bytes(MAX_PING_BYTES + 1)))

    assert caught.value.code == "too_big"


def test_we_do_not_send_one_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="at most 61440"):
        encode_ping(Ping(bytes(MAX_PING_BYTES + 1)))


def test_nobody_may_ping_before_the_greeting() -> None:
    inbound = Inbound(Limits(), SCHEMA, BufferPool(Limits(), lambda: None))
    data = encode_ping(Ping())
    inbound.buffer()[: len(data)] = data

    with pytest.raises(RemoteError, match="0x18 has no place here"):
        list(inbound.received(len(data)))


def test_so_many_pings_are_answered_at_once_and_then_as_many_each_second() -> None:
    allowance = EchoAllowance()

    assert sum(allowance.take(0.0) for _ in range(100)) == ECHOES_PER_S
    assert not allowance.take(0.04)
    assert allowance.take(0.06)
    assert sum(allowance.take(1000.0) for _ in range(100)) == ECHOES_PER_S
