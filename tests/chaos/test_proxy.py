"""The proxy does what it is told, no more: every byte arrives, in order, unless the fault says otherwise."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.awaiting import DEADLINE_S
from tests.chaos.proxy import FAIR, ChaosProxy, Way, Weather

MEGABYTE = bytes(range(256)) * 4096


@dataclass
class Pair:
    """Two ends of one connection with the proxy between them."""

    proxy: ChaosProxy
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]  # that come later

    async def send(self, data: bytes) -> None:
        """From the client."""
        self.client[1].write(data)
        await self.client[1].drain()

    async def received(self, count: int) -> bytes:
        """By the server."""
        return await asyncio.wait_for(self.server[0].readexactly(count), DEADLINE_S)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait((reader, writer))
        writers.append(writer)

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with ChaosProxy("127.0.0.1", server.sockets[0].getsockname()[1], seed=1) as proxy:
        client = await asyncio.open_connection("127.0.0.1", proxy.port)
        other = await asyncio.wait_for(accepted.get(), DEADLINE_S)
        yield Pair(proxy, client, other, accepted)
    for writer in (client[1], *writers):
        writer.transport.abort()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0)  # an aborted transport closes in the next step of the loop


async def test_every_byte_passes_both_ways_and_an_end_is_handed_on(pair: Pair) -> None:
    sending = asyncio.ensure_future(pair.send(MEGABYTE))

    assert await pair.received(len(MEGABYTE)) == MEGABYTE
    await sending
    pair.server[1].write(b"back")
    pair.server[1].write_eof()
    assert await asyncio.wait_for(pair.client[0].read(), DEADLINE_S) == b"back"
    pair.client[1].write_eof()
    assert await asyncio.wait_for(pair.server[0].read(), DEADLINE_S) == b""


async def test_delay_and_jitter_make_bytes_late_and_keep_their_order(pair: Pair) -> None:
    loop = asyncio.get_running_loop()
    pair.proxy.set(Weather(delay_s=0.05, jitter_s=0.05), Way.OUT)
    sent_s = loop.time()
    for number in range(10):
        await pair.send(bytes([number]))

    assert await pair.received(10) == bytes(range(10))
    assert loop.time() - sent_s >= 0.05
    pair.server[1].write(b"at once")
    assert await asyncio.wait_for(pair.client[0].readexactly(7), DEADLINE_S) == b"at once"


async def test_a_stalled_way_holds_everything_and_loses_nothing(pair: Pair) -> None:
    pair.proxy.set(Weather(is_stalled=True), Way.OUT)
    await pair.send(b"held")
    pair.server[1].write(b"free")
    assert await asyncio.wait_for(pair.client[0].readexactly(4), DEADLINE_S) == b"free"
    flow = pair.proxy.connections[0].flows[Way.OUT]
    assert flow.forwarded_bytes == 0

    pair.proxy.set(FAIR)

    assert await pair.received(4) == b"held"
    assert flow.forwarded_bytes == 4


async def test_a_throttled_way_is_as_slow_as_it_was_told_until_it_is_set_free(pair: Pair) -> None:
    loop = asyncio.get_running_loop()
    pair.proxy.set(Weather(bytes_per_s=100_000), Way.OUT)
    begun_s = loop.time()
    sending = asyncio.ensure_future(pair.send(MEGABYTE))

    await pair.received(10_000)
    assert loop.time() - begun_s > 0.05  # half of what it should take: the first step is free
    pair.proxy.set(FAIR)
    await pair.received(len(MEGABYTE) - 10_000)
    assert loop.time() - begun_s < 5  # 10 s at that rate
    await sending


async def test_a_cut_connection_ends_for_both_and_the_next_one_is_served(pair: Pair) -> None:
    pair.proxy.cut()

    for reader, _ in (pair.client, pair.server):
        assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
    assert pair.proxy.connections == []
    _, writer = await asyncio.open_connection("127.0.0.1", pair.proxy.port)
    writer.write(b"anew")
    next_one = await asyncio.wait_for(pair.accepted.get(), DEADLINE_S)
    assert await asyncio.wait_for(next_one[0].readexactly(4), DEADLINE_S) == b"anew"
    writer.transport.abort()


async def test_a_reset_is_a_reset_for_both(pair: Pair) -> None:
    pair.proxy.reset()

    for reader, _ in (pair.client, pair.server):
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), DEADLINE_S)


async def test_a_reset_by_one_side_reaches_the_other(pair: Pair) -> None:
    taken: socket.socket = pair.client[1].get_extra_info("socket")
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    pair.client[1].transport.abort()

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(pair.server[0].read(), DEADLINE_S)


async def test_half_a_close_ends_one_way_and_leaves_the_other(pair: Pair) -> None:
    pair.proxy.half_close(Way.OUT)

    assert await asyncio.wait_for(pair.server[0].read(), DEADLINE_S) == b""
    await pair.send(b"thrown away")
    pair.server[1].write(b"still here")
    assert await asyncio.wait_for(pair.client[0].readexactly(10), DEADLINE_S) == b"still here"


async def test_a_proxy_that_refuses_resets_whoever_dials(pair: Pair) -> None:
    pair.proxy.is_refusing = True
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.proxy.port)

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), DEADLINE_S)
    writer.transport.abort()
    assert pair.proxy.accepted == 2
