"""A proxy that spoils TCP connections as bad networks do, and never looks at what they carry.

It stands between whoever dials and whoever listens.  What happens to the bytes of each direction is said by
a ``Weather``, for all connections or for one, and may change while they are open; bytes keep their order, as
TCP keeps it.  Loss of packets is not simulated: TCP turns it into delay (``jitter_s``) and slowness.
"""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from math import inf

import numpy as np

PIECE_BYTES = 64 * 1024
MAX_PIECES = 32  # on the way in one direction; the kernel's buffers and TCP's window hold what is behind
STEP_S = 0.02  # of a throttled direction, so that a change is felt soon
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what is unsent and resets


class Way(Enum):
    """A direction, seen from whoever has dialled."""

    OUT = "out"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to the bytes of one direction."""

    delay_s: float = 0.0
    jitter_s: float = 0.0  # up to so much more, drawn per piece
    bytes_per_s: float = inf
    is_stalled: bool = False  # nothing is forwarded, and nothing closed


FAIR = Weather()


class Flow:
    """The bytes of one direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, rng: np.random.Generator) -> None:
        self._source = source
        self._sink = sink
        self._rng = rng
        self._weather = FAIR
        self._on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_PIECES)
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._has_ended = False
        self.forwarded_bytes = 0

    def set(self, weather: Weather) -> None:
        """What happens from now on; pieces on the way keep the time at which they are due."""
        self._weather = weather
        if weather.is_stalled:
            self._is_open.clear()
        else:
            self._is_open.set()

    def end(self) -> None:
        """Half-close: the receiver sees the end of the stream, and what comes later is thrown away."""
        self._has_ended = True
        with suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)

    async def read(self) -> None:
        """Take what comes, until the sender ends its stream."""
        loop = asyncio.get_running_loop()
        due_s, piece = 0.0, b"-"
        while piece:
            piece = await loop.sock_recv(self._source, PIECE_BYTES)
            late_s = self._weather.delay_s + self._rng.uniform(0.0, 1.0) * self._weather.jitter_s
            due_s = max(due_s, loop.time() + late_s)
            await self._on_the_way.put((due_s, piece))

    async def write(self) -> None:
        """Forward what is due."""
        loop = asyncio.get_running_loop()
        while True:
            due_s, piece = await self._on_the_way.get()
            await asyncio.sleep(due_s - loop.time())
            if not piece:
                await self._is_open.wait()
                self.end()
                return
            await self._forward(memoryview(piece))

    async def _forward(self, piece: memoryview) -> None:
        loop = asyncio.get_running_loop()
        while piece and not self._has_ended:
            await self._is_open.wait()
            rate = self._weather.bytes_per_s
            part = piece if rate == inf else piece[: max(1, int(rate * STEP_S))]
            await loop.sock_sendall(self._sink, part)
            self.forwarded_bytes += len(part)
            piece = piece[len(part) :]
            if rate != inf:
                await asyncio.sleep(len(part) / rate)


class Connection:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket, rng: np.random.Generator) -> None:
        self._sockets = (client, server)
        self.flows = {Way.OUT: Flow(client, server, rng), Way.BACK: Flow(server, client, rng)}
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Forward until both directions have ended, or one has failed; then close both sides."""
        self._task = asyncio.current_task()
        jobs = [job() for flow in self.flows.values() for job in (flow.read, flow.write)]
        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(job)
        except* OSError:
            self._linger_not()  # one side has reset: so does the other
        finally:
            for each in self._sockets:
                each.close()

    def cut(self) -> None:
        """Close both sides, as a proxy or a router that restarts does."""
        if self._task is not None:
            self._task.cancel()

    def reset(self) -> None:
        """Both sides see a reset."""
        self._linger_not()
        self.cut()

    def _linger_not(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


class ChaosProxy:
    """Listens on loopback and forwards to one address; a context manager that leaves nothing open."""

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self._target = (host, port)
        self._rng = np.random.default_rng(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._weather = {Way.OUT: FAIR, Way.BACK: FAIR}
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[Connection] = []  # that are open
        self.accepted = 0
        self.is_refusing = False  # new connections are reset

    @property
    def port(self) -> int:
        """Where to dial."""
        return int(self._listener.getsockname()[1])

    async def __aenter__(self) -> "ChaosProxy":
        self._begin(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every connection and stop listening."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._listener.close()

    def set(self, weather: Weather, *ways: Way) -> None:
        """What happens from now on in these directions, by default in both, to all connections."""
        for way in ways or Way:
            self._weather[way] = weather
            for connection in self.connections:
                connection.flows[way].set(weather)

    def cut(self) -> None:
        """Close every connection that is open now."""
        for connection in self.connections:
            connection.cut()

    def reset(self) -> None:
        """Reset every connection that is open now."""
        for connection in self.connections:
            connection.reset()

    def half_close(self, way: Way) -> None:
        """End one direction of every connection that is open now."""
        for connection in self.connections:
            connection.flows[way].end()

    def _begin(self, job: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            self.accepted += 1
            if self.is_refusing:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                client.close()
            else:
                self._begin(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        server.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(server, self._target)
        except (OSError, asyncio.CancelledError):
            client.close()
            server.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, server, self._rng)
        for way, weather in self._weather.items():
            connection.flows[way].set(weather)
        self.connections.append(connection)
        try:
            await connection.run()
        finally:
            self.connections.remove(connection)
