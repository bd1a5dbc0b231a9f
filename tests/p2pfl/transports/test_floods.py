"""What a greeted peer may not do over TCP: flood, answer what was not asked, accept to send and be silent."""

from collections.abc import Iterator

import numpy as np
import pytest

from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.transports.tcp import TcpTransport
from p2pfl.wire.framing import FrameType
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import decode_goodbye
from p2pfl.wire.message_codec import encode_message
from p2pfl.wire.offer_codec import decode_accept, encode_answer
from p2pfl.wire.packets import Accept, Envelope, Receipt, Reject
from p2pfl.wire.ping import ECHOES_PER_S, Ping, Pong, encode_ping
from tests.p2pfl.transports.ends import End, World, world_of
from tests.p2pfl.transports.strangers import Stranger
from tests.p2pfl.wire.samples import SCHEMA


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("tcp", "asyncio") as found:
        yield found


async def greeted(world: World, limits: Limits | None = None) -> tuple[End, Stranger]:
    bert = await world.end("bert", limits=limits)
    stranger = await Stranger.calls(bert)
    await stranger.greets()
    return bert, stranger


async def leaves_with(bert: End, stranger: Stranger, code: str) -> None:
    number, payload = await stranger.frame()
    while number == FrameType.PONG:
        number, payload = await stranger.frame()
    assert (number, decode_goodbye(payload).code) == (FrameType.GOODBYE, code)
    assert (await bert.down()).startswith(code)
    await stranger.rest()


@pytest.mark.parametrize(
    "small",
    [
        encode_heartbeat(Heartbeat(1, b"")),
        encode_ping(Ping()),
        b"\0\0\0\0\x80\0\0\0",
        b"\0\0\0\x04\xff\0\0\0later"[:12],
    ],
    ids=["heartbeats", "pings", "unknown frames", "longer unknown frames"],
)
def test_a_flood_of_any_small_frames_ends_the_link_and_says_so(world: World, small: bytes) -> None:
    async def story() -> None:
        bert, stranger = await greeted(world, Limits(loopback_times=1, control_frames_burst=20))
        stranger.writer.write(small * 100)
        await leaves_with(bert, stranger, "too_fast")

    world.run(story)


@pytest.mark.parametrize(
    "answer",
    [
        encode_answer(Accept(1)),
        encode_answer(Reject(1, "busy")),
        encode_answer(Receipt(1, "kept")),
        encode_ping(Pong(b"pong")),
    ],
    ids=["ACCEPT", "REJECT", "RECEIPT", "PONG"],
)
def test_an_answer_that_was_not_asked_for_ends_the_link(world: World, answer: bytes) -> None:
    async def story() -> None:
        bert, stranger = await greeted(world)
        stranger.writer.write(answer)
        await leaves_with(bert, stranger, "unexpected_frame")

    world.run(story)


def test_a_ping_is_answered_once(world: World) -> None:
    async def story() -> None:
        bert, stranger = await greeted(world)
        bert.link.send(Ping(b"1"))
        assert (await stranger.frame())[0] == FrameType.PING
        stranger.writer.write(encode_ping(Pong(b"1")))
        assert await bert.packet() == Pong(b"1")
        stranger.writer.write(encode_ping(Pong(b"1")))
        await leaves_with(bert, stranger, "unexpected_frame")

    world.run(story)


def test_a_body_of_no_bytes_that_never_comes_does_not_keep_its_place_for_ever(world: World) -> None:
    async def story() -> None:
        bert, stranger = await greeted(world, Limits(transfer_window_s=0.05))
        empty = Envelope(Message("codes", 1, body=(np.empty(0, np.uint8),)), b"", 1, 1)
        stranger.writer.write(encode_message(empty, SCHEMA)[0])
        number, payload = await stranger.frame()
        assert (number, decode_accept(payload)) == (FrameType.ACCEPT, Accept(1))
        await leaves_with(bert, stranger, "too_slow")

    world.run(story)


def test_limits_that_end_no_link_are_counted_too(world: World) -> None:
    async def story() -> None:
        bert, stranger = await greeted(world)
        stranger.writer.write(encode_ping(Ping()) * 50)
        stranger.writer.write(encode_heartbeat(Heartbeat(1, b"")))
        await bert.packet()
        assert isinstance(bert.transport, TcpTransport)
        unanswered = bert.transport.hits["unanswered_pings"]
        stranger.writer.close()
        await bert.down()

        assert 50 - 2 * ECHOES_PER_S < unanswered <= 50 - ECHOES_PER_S
        assert bert.transport.hits["unanswered_pings"] == unanswered

    world.run(story)
