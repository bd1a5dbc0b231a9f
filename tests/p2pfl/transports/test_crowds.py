"""Crowds of half-open and slow connections: all are cut off in time, and an honest peer gets in meanwhile."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from p2pfl.errors import P2PError
from p2pfl.transports.addresses import parse_address
from p2pfl.wire.limits import MEGABYTE, Limits
from tests.p2pfl.transports.ends import End, World, world_of
from tests.p2pfl.transports.fuzzing import resident_bytes

RETRY_S = 0.05
AT_ONCE = 50  # connections being made: more than a listener's queue holds would wait in the kernel
STRICT = Limits(loopback_times=1)  # this machine counts as any other


@pytest.fixture(
    params=[(kind, loop) for kind in ("tcp", "tls") for loop in ("asyncio", "uvloop")], ids="-".join
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, loop = request.param
    with world_of(kind, loop) as found:
        yield found


@dataclass
class Crowd:
    """Connections from many addresses of this machine; every second one sends a byte now and then."""

    end: End
    connections: int
    addresses: int
    slow_s: float  # between two bytes of a slow sender
    lasted_s: list[float] = field(default_factory=list)
    begun: int = 0
    is_half_here: asyncio.Event = field(default_factory=asyncio.Event)
    in_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def come(self) -> None:
        await asyncio.gather(*(self._one(number) for number in range(self.connections)))

    async def _one(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.settimeout(0)
            connection.bind((f"127.0.0.{2 + number % self.addresses}", 0))
            with suppress(ConnectionError):
                async with self.in_turn:
                    await loop.sock_connect(connection, parse_address(self.end.address))
                self.begun += 1
                if self.begun > self.connections // 2:
                    self.is_half_here.set()
                if number % 2:
                    await asyncio.gather(self._hears_the_end(connection), self._drips(connection))
                else:
                    await self._hears_the_end(connection)

    async def _hears_the_end(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with suppress(OSError):
            while await loop.sock_recv(connection, 4096):
                pass
        self.lasted_s.append(loop.time() - began_s)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    async def _drips(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03":  # TLS begins so
            with suppress(OSError):  # it has been shut down
                await loop.sock_sendall(connection, bytes([byte]))
                await asyncio.sleep(self.slow_s)
                continue
            return


async def gets_in(end: End, address: str) -> float:
    """Dial until there is a link; how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not end.links:
        try:
            await end.transport.dial(address)
        except P2PError:
            await asyncio.sleep(RETRY_S)
    return loop.time() - began_s


async def besiege(world: World, connections: int, *, addresses: int, limits: Limits) -> Crowd:
    bert, anna = await world.end("bert", limits=limits), await world.end("anna")
    crowd = Crowd(bert, connections, addresses, slow_s=limits.handshake_s / 5)
    before = resident_bytes()
    coming = asyncio.get_running_loop().create_task(crowd.come())
    await crowd.is_half_here.wait()
    entry_s = await gets_in(anna, bert.address)
    grown = resident_bytes() - before
    await coming

    assert entry_s < 2.0
    assert len(crowd.lasted_s) == crowd.begun
    assert grown < 32 * MEGABYTE
    assert anna.downs.empty()
    codes = {code for code, _ in bert.denied}
    assert codes <= {"crowded", "too_fast", "handshake_timeout", "no_tls", "unexpected_frame", "too_big"}
    return crowd


def test_fifty_that_say_nothing_do_not_keep_an_honest_peer_out(world: World) -> None:
    limits = Limits(loopback_times=1, handshake_s=0.3)
    crowd = world.run(lambda: besiege(world, 50, addresses=10, limits=limits))

    assert max(crowd.lasted_s) < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("addresses", [1, 250])
def test_five_hundred_half_open_and_slow_connections_are_closed_within_six_seconds(
    world: World, addresses: int
) -> None:
    crowd = world.run(lambda: besiege(world, 500, addresses=addresses, limits=STRICT))

    assert crowd.begun > 0
    assert max(crowd.lasted_s) < 6.0
