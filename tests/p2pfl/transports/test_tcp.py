"""What only TCP has: bytes from strangers, deadlines, slow readers, busy ports."""

import asyncio
import os
import socket
import sys
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from p2pfl.errors import ConfigError, TransportError
from p2pfl.membership import Heartbeat
from p2pfl.transports.addresses import format_address, parse_address
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tcp_link import TcpLink
from p2pfl.wire.framing import BODY_FRAME_BYTES, FrameType, frame, frame_header
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from p2pfl.wire.limits import MEGABYTE, Limits
from p2pfl.wire.link_codec import decode_goodbye, decode_refused, encode_greeting
from p2pfl.wire.offer_codec import encode_answer
from p2pfl.wire.packets import Accept, Goodbye, Receipt, Reject
from tests.p2pfl.transports.ends import End, World, world_of
from tests.p2pfl.transports.strangers import Stranger
from tests.p2pfl.wire.samples import BODIES, as_bytes, envelope, greeting, note


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of("tcp", request.param) as found:
        yield found


def test_another_major_version_gets_one_readable_refusal(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        stranger = await Stranger.calls(bert)
        stranger.writer.write(frame(FrameType.INFO, b"P2PN\x02\x00" + b"whatever version 2 says"))
        number, payload = await stranger.frame()

        assert number == FrameType.REFUSED
        refused = decode_refused(payload)
        assert (refused.code, refused.text) == ("wrong_version", "protocol version 2.0 there, 1.0 here")
        assert await stranger.rest() == b""
        assert [code for code, _ in bert.denied] == ["wrong_version"]

    world.run(story)


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"\xff" * 100,
        bytes(100),
        frame_header(FrameType.INFO, 4097),
        frame(FrameType.INFO, b"P2PN\x01\x00\x80"),
        frame(FrameType.HEARTBEAT, b"\x80"),
    ],
    ids=["http", "tls", "ones", "zeros", "too long", "empty map", "not yet"],
)
def test_noise_before_the_greeting_ends_that_connection_alone(world: World, noise: bytes) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        stranger = await Stranger.calls(bert)
        stranger.writer.write(noise)
        await stranger.rest()
        await bert.until(lambda: len(bert.denied) == 1)

        anna.link.send(note(1))
        assert (await bert.message()).message.round == 1
        assert len(bert.links) == 1

    world.run(story)


@pytest.mark.parametrize(
    ("noise", "code"),
    [
        (frame(FrameType.MESSAGE, b"\xc1"), "malformed"),
        (frame_header(FrameType.HEARTBEAT, 65537), "too_big"),
        (frame_header(FrameType.BODY, 28), "unexpected_frame"),
        (as_bytes(envelope())[:-36] + frame_header(FrameType.BODY, 2**31), "wrong_schema"),
        (as_bytes(envelope())[:-36] * 2, "unexpected_frame"),
        (encode_answer(Accept(3)), "unexpected_frame"),
        (encode_answer(Reject(3, "busy")), "unexpected_frame"),
        (encode_answer(Receipt(3, "kept")), "unexpected_frame"),
        (encode_greeting(greeting("stranger")), "unexpected_frame"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_frame_ends_that_link_with_a_goodbye_that_says_why(
    world: World, noise: bytes, code: str
) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.write(noise)
        number, payload = await stranger.frame()
        if number == FrameType.ACCEPT:
            number, payload = await stranger.frame()

        assert number == FrameType.GOODBYE
        assert decode_goodbye(payload).code == code
        assert (await bert.down()).startswith(code)
        assert [found for found, _ in bert.denied] == [code]
        anna.link.send(note(1))
        assert (await bert.message()).message.round == 1
        assert bert.downs.empty()
        await stranger.rest()

    world.run(story)


def test_a_flood_of_control_frames_ends_the_link_and_says_so(world: World) -> None:
    limits = Limits(loopback_times=1, control_frames_burst=20)

    async def story() -> None:
        bert = await world.end("bert", limits=limits)
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.write(encode_heartbeat(Heartbeat(1, b"")) * 100)
        number, payload = await stranger.frame()

        assert number == FrameType.GOODBYE
        assert decode_goodbye(payload).code == "too_fast"
        assert (await bert.down()).startswith("too_fast")
        await stranger.rest()

    world.run(story)


def test_an_address_that_connects_too_often_is_cut_off_before_it_says_anything(world: World) -> None:
    limits = Limits(loopback_times=1, address_links_burst=2, address_links_per_s=0.001)

    async def story() -> None:
        bert = await world.end("bert", limits=limits)
        first, second, third = [await Stranger.calls(bert) for _ in range(3)]

        assert await third.rest() == b""
        assert [code for code, _ in bert.denied] == ["too_fast"]
        await first.greets()
        for stranger in (first, second):
            stranger.writer.close()

    world.run(story)


def test_a_connection_that_does_not_greet_is_closed_at_the_deadline(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(handshake_s=0.05))
        stranger = await Stranger.calls(bert)
        stranger.writer.write(encode_greeting(greeting("stranger"))[:-1])

        assert await stranger.rest() == b""
        assert [code for code, _ in bert.denied] == ["handshake_timeout"]
        assert bert.links == []

    world.run(story)


def test_a_listener_that_does_not_greet_is_given_up_at_the_deadline(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(handshake_s=0.05))
        refusal = pytest.raises(TransportError, match=r"did not greet within 0\.05 s")
        with socket.create_server(("127.0.0.1", 0)) as mute, refusal:
            await bert.transport.dial(format_address(*mute.getsockname()))

    world.run(story)


def test_a_listener_that_hangs_up_is_a_transport_error(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        with pytest.raises(TransportError, match=r"before it greeted|cannot be reached"):
            await bert.transport.dial(format_address(*server.sockets[0].getsockname()))
        server.close()

    world.run(story)


def test_when_many_do_not_greet_the_oldest_gives_way_to_the_newcomer(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(greeting_links=3, loopback_times=1))
        mute = [await Stranger.calls(bert) for _ in range(5)]
        honest = await Stranger.calls(bert)
        await honest.greets()

        assert [await stranger.rest() for stranger in mute[:2]] == [b"", b""]
        await bert.until(lambda: bool(bert.links))
        assert bert.link.peer.id == "stranger"
        for stranger in (*mute[2:], honest):
            stranger.writer.close()

    world.run(story)


def test_a_peer_that_vanishes_in_the_middle_of_a_model_ends_its_link_once(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.write(as_bytes(envelope())[:-23])
        stranger.writer.close()

        assert (await bert.down()).startswith("connection")
        assert bert.packets.empty()

    world.run(story)


def test_a_model_that_does_not_move_is_given_up(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(transfer_window_s=0.05))
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.write(as_bytes(envelope())[:-23])

        assert (await bert.down()).startswith("too_slow")
        await stranger.rest()

    world.run(story)


def test_a_link_that_is_idle_between_models_is_not_given_up(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(transfer_window_s=0.05))
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        for number in range(3):
            stranger.writer.write(as_bytes(envelope(number)))
            await bert.message()
            await asyncio.sleep(0.06)  # longer than a body may rest
        assert bert.downs.empty()
        stranger.writer.close()

    world.run(story)


def test_a_slow_reader_costs_a_bounded_amount_of_memory(world: World) -> None:
    parameters = 10 * MEGABYTE // 4

    async def story() -> None:
        bert = await world.end("bert", parameters=parameters)
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a read transport too
        link = bert.link
        assert isinstance(link, TcpLink)
        tracemalloc.start()
        for number in range(50):
            link.send(envelope(number, parameters=parameters))
            link.send(note(number))
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        limits = Limits()
        assert link.waiting == limits.outbox_messages
        models = limits.outbox_messages + 1  # the arrays are the sender's own; here nobody else holds them
        assert kept < models * 10 * MEGABYTE + BODY_FRAME_BYTES + limits.write_high_water_bytes + MEGABYTE
        stranger.writer.transport.abort()
        await bert.down()

    world.run(story)


def test_the_memory_of_a_dropped_model_receives_a_later_one(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=100_000)
        places = set()
        for number in range(20):
            anna.link.send(envelope(number, parameters=100_000))
            model = (await bert.message()).message.model
            assert model is not None
            places.add(model.params.ctypes.data)
            del model

        assert len(places) <= 3

    world.run(story)


def test_a_model_that_is_not_contiguous_is_sent_all_the_same(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        sent = envelope()
        assert sent.message.model is not None
        wide = np.repeat(sent.message.model.params, 2)
        strided = wide[::2]
        object.__setattr__(sent.message.model, "params", strided)
        anna.link.send(sent)
        found = (await bert.message()).message.model

        assert found is not None
        assert found.params.tobytes() == strided.tobytes()

    world.run(story)


def test_a_port_in_use_is_named_with_its_holder_and_exit_code_6(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        host, port = parse_address(bert.address)
        other = TcpTransport(host, port, bodies=BODIES, parameters=7, limits=Limits())
        with pytest.raises(
            ConfigError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"
        ) as caught:
            await other.listen(lambda: greeting("other"), bert)
        await other.close()

        assert caught.value.exit_code == 6
        assert caught.value.fix
        if sys.platform.startswith("linux"):
            assert caught.value.facts[0].startswith(f"pid {os.getpid()} (")

    world.run(story)


def test_an_address_that_is_not_ours_is_a_config_error(world: World) -> None:
    async def story() -> None:
        other = TcpTransport("192.0.2.1", 0, bodies=BODIES, parameters=7, limits=Limits())
        with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:0") as caught:
            await other.listen(lambda: greeting("other"), End(other, []))
        assert caught.value.exit_code == 6

    world.run(story)


def test_a_closed_transport_leaves_no_task_and_no_open_socket(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(note(1))
        await bert.message()
        await anna.transport.close()
        await bert.transport.close()

        assert await anna.down() == "leaving"
        assert await bert.packet() == Goodbye("leaving")
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    world.run(story)
