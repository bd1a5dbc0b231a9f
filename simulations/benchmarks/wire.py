"""How fast a model gets from one process to another: our TCP transport beside raw blocking sockets.

Two processes on loopback.  The sender holds a vector; the receiver ends up with a vector and answers with
one byte, or one message, that it has it; the time between is what counts.  The raw sockets send the vector's
memory and receive into one preallocated buffer, which is the least that can be done; secure links are
compared with the same under TLS.  All ways take turns
within a repeat, since a shared machine drifts; the figures are medians over the repeats.
"""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.transports.event_loops import loop_factories, loop_factory
from p2pfl.transports.tls import client_context
from simulations.benchmarks.wire_raw import send_raw
from simulations.benchmarks.wire_security import fresh_security
from simulations.benchmarks.wire_tcp import send_tcp

RAW, RAW_TLS = "raw", "raw-tls"
LOOPS: Mapping[str, str] = {
    "tcp": "uvloop",
    "tcp-asyncio": "asyncio",
    "tls": "uvloop",
    "tls-asyncio": "asyncio",
}
SECURE = frozenset({"tls", "tls-asyncio"})  # compared with raw blocking sockets under TLS
SIZES_MB = (1, 10, 100)
VOLUME_MB = 200  # of one measurement
MOST_MODELS = 100  # of one measurement


@dataclass(frozen=True, slots=True)
class Row:
    """One transport at one model size, beside the raw sockets of the same run."""

    size_mb: int
    transport: str
    mb_per_s: float
    raw_mb_per_s: float

    @property
    def ratio_to_raw(self) -> float:
        """The share of the raw sockets' speed."""
        return self.mb_per_s / self.raw_mb_per_s

    def as_json(self) -> dict[str, int | float | str]:
        """The row as plain values."""
        return {**asdict(self), "ratio_to_raw": self.ratio_to_raw}


def ways() -> list[str]:
    """The transports that can be measured here, the raw sockets first, without and with TLS."""
    return [RAW, RAW_TLS, *(name for name, loop in LOOPS.items() if loop in loop_factories())]


def measure(*, repeats: int, sizes_mb: Sequence[int] = SIZES_MB, volume_mb: int = VOLUME_MB) -> list[Row]:
    """A row per model size and transport."""
    rows = []
    with Receiver() as receiver:
        for size_mb in sizes_mb:
            speeds: dict[str, list[float]] = {way: [] for way in ways()}
            vector = np.random.default_rng(size_mb).random(size_mb * 250_000, dtype=np.float32)
            models = max(2, min(MOST_MODELS, volume_mb // size_mb))
            for _ in range(repeats):
                for way in speeds:
                    seconds = send(way, receiver.start(way, vector.size), vector, models=models)
                    speeds[way].append(size_mb * models / seconds)
            medians = {way: statistics.median(found) for way, found in speeds.items()}
            for way in (one for one in LOOPS if one in medians):
                raw = medians[RAW_TLS if way in SECURE else RAW]
                rows.append(Row(size_mb, way, medians[way], raw))
    return rows


def send(way: str, address: str, vector: NDArray[np.float32], *, models: int) -> float:
    """The seconds that ``models`` models take, each answered before the next."""
    if way == RAW:
        return send_raw(address, vector, models=models)
    if way == RAW_TLS:
        return send_raw(address, vector, models=models, tls=client_context())
    security = fresh_security() if way in SECURE else None
    with asyncio.Runner(loop_factory=loop_factory(LOOPS[way])) as runner:
        return runner.run(send_tcp(address, vector, models=models, security=security))


class Receiver:
    """The second process: told on its standard input what to receive next, it answers with an address."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str]

    def __enter__(self) -> "Receiver":
        command = [sys.executable, "-m", "simulations.benchmarks.wire_receiver"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, way: str, parameters: int) -> str:
        """The address at which the receiver now waits for one sender."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{way} {parameters}\n")
        return self._process.stdout.readline().strip()
