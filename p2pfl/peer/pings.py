"""How far a linked peer is: pings over the link in use, and the time until they are back.

They wait behind whatever body is half sent, in either direction, as every frame of the link does: what is
measured is the link as a model finds it, not the bare network.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from p2pfl.errors import TransportError
from p2pfl.wire.packets import Packet
from p2pfl.wire.ping import MAX_PING_BYTES, Ping, Pong

ROUND_TRIPS = 5  # small pings, one after the other
LARGE_PINGS = 12  # of MAX_PING_BYTES; with the small ones fewer than a peer answers at once
IN_FLIGHT = 4  # large ones under way at once: what a link gives to the kernel without waiting
ANSWER_S = 3.0
MAX_WAITING = 64  # pings under way, of all who ask
TOKEN_BYTES = 8


@dataclass(frozen=True, slots=True)
class Echoes:
    """What came back: times of the small pings, and how long the large ones took together."""

    round_trips_s: tuple[float, ...]  # of ROUND_TRIPS, fewer when some were lost
    echoed_bytes: int  # of large pings, counted once though they went both ways
    echoed_s: float

    @property
    def bytes_per_s(self) -> float | None:
        """Payload through the link there and back, ``IN_FLIGHT`` pings at a time; None if none came back."""
        return self.echoed_bytes / self.echoed_s if self.echoed_bytes and self.echoed_s > 0 else None


class Pings:
    """The pings that are under way on the links of one node."""

    def __init__(self, send: Callable[[str, Packet], bool]) -> None:
        self._send = send
        self._waiting: dict[tuple[str, bytes], asyncio.Future[None]] = {}

    def answered(self, peer: str, pong: Pong) -> None:
        """A ping is back; what nobody waits for is ignored."""
        waiting = self._waiting.get((peer, pong.payload))
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def measure(self, peer: str) -> Echoes:
        """Round trips and throughput; raises TransportError when there is no link, or no answer."""
        times_s: list[float] = []
        for _ in range(ROUND_TRIPS):
            found_s = await self._ping(peer, TOKEN_BYTES)
            if found_s is not None:
                times_s.append(found_s)
            elif not times_s:
                raise TransportError(f"the link is up, but no answer came within {ANSWER_S:g} s")
        began_s = asyncio.get_running_loop().time()
        lanes = await asyncio.gather(*(self._lane(peer) for _ in range(IN_FLIGHT)))
        took_s = max(end_s for _, end_s in lanes) - began_s
        return Echoes(tuple(times_s), sum(count for count, _ in lanes) * MAX_PING_BYTES, took_s)

    async def _lane(self, peer: str) -> tuple[int, float]:
        """Large pings one behind the other: how many came back, and when the last of them did."""
        loop = asyncio.get_running_loop()
        count, end_s = 0, loop.time()
        for _ in range(LARGE_PINGS // IN_FLIGHT):
            if await self._ping(peer, MAX_PING_BYTES) is None:
                break
            count, end_s = count + 1, loop.time()
        return count, end_s

    async def _ping(self, peer: str, size_bytes: int) -> float | None:
        """Seconds until it was back, None when it was not in time; raises TransportError without a link."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= MAX_WAITING:
            raise TransportError("too many pings are under way")
        payload = os.urandom(TOKEN_BYTES).ljust(size_bytes, b"\0")
        back: asyncio.Future[None] = loop.create_future()
        self._waiting[peer, payload] = back
        began_s = loop.time()
        try:
            if not self._send(peer, Ping(payload)):
                raise TransportError("there is no link to it")
            await asyncio.wait_for(back, ANSWER_S)
        except TimeoutError:
            return None
        finally:
            del self._waiting[peer, payload]
        return loop.time() - began_s
