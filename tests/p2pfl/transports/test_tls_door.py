"""The door before TLS: whom it closes on is hung up on, and TLS begins when the whole greeting is there."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from p2pfl.transports import tls_door
from p2pfl.transports.addresses import parse_address
from p2pfl.transports.fence import connection_in
from p2pfl.transports.tls import client_context
from p2pfl.wire.limits import Limits
from tests.p2pfl.transports.ends import DEADLINE_S, World, world_of


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of("tls", request.param) as found:
        yield found


@pytest.mark.parametrize("turns", range(5))
def test_whoever_is_accepted_while_the_door_closes_is_hung_up_on(world: World, turns: int) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        caller = socket.create_connection(parse_address(bert.address))
        for _ in range(turns):
            await asyncio.sleep(0)
        await bert.transport.close()
        gc.collect()  # a socket that nobody has closed would say so

        caller.settimeout(DEADLINE_S)
        with caller, suppress(ConnectionError):
            assert caller.recv(1) == b""

    world.run(story)


def test_an_exception_that_nobody_expected_is_told_as_one_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        told: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.put_nowait(context))
        monkeypatch.setattr(tls_door.TlsDoor, "_start_tls", failing)
        with socket.create_connection(parse_address(bert.address)) as caller:
            context = await asyncio.wait_for(told.get(), DEADLINE_S)
            assert connection_in(context) == "tcp://{}:{}".format(*caller.getsockname())

    async def failing(*_: object) -> None:
        raise LookupError("a bug")

    world.run(story)


async def end_of(caller: socket.socket) -> bytes:
    """What comes before the end, however that comes."""
    try:
        return await asyncio.get_running_loop().sock_recv(caller, 1)
    except ConnectionError:
        return b""


def test_whoever_says_nothing_or_only_a_part_of_it_is_cut_in_time_and_gets_no_tls(world: World) -> None:
    async def story() -> None:
        bert, anna = await world.end("bert", limits=Limits(handshake_s=0.3)), await world.end("anna")
        channel = client_context().wrap_bio(ssl.MemoryBIO(), sent := ssl.MemoryBIO())
        with suppress(ssl.SSLWantReadError):
            channel.do_handshake()
        hello = sent.read()
        with ExitStack() as stack:
            calls = [socket.create_connection(parse_address(bert.address)) for _ in range(4)]
            for call in calls:
                stack.enter_context(call).settimeout(0)
            for call, said in zip(calls, (b"", hello[:1], hello[:-1], hello[:3]), strict=True):
                call.sendall(said)
            await asyncio.sleep(0)
            calls[3].sendall(hello[3:])  # in pieces, which is no reason to turn it away

            assert [await end_of(call) for call in calls] == [b"", b"", b"", b"\x16"]
            await bert.until(lambda: len(bert.denied) == 4)
            assert {code for code, _ in bert.denied} == {"handshake_timeout"}
        await anna.transport.dial(bert.address)

    world.run(story)
