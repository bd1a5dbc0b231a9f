"""Frames bent in every way, and a listener that keeps nothing of what it is told."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from hypothesis import settings

from p2pfl.errors import RemoteError
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tls import Security
from p2pfl.transports.transport import Link
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Offer, Packet, Receipt, Reject
from tests.examples import REPEATABLE_EXAMPLES
from tests.p2pfl.wire.samples import BODIES, PARAMETERS, greeting

LENGTHS = (0, 1, 7, 28, 4095, 4097, 65_535, 65_537, 2**31, 2**32 - 1)
LONGEST_NOISE = 300
# Ten thousand frames a seed: one in `make test-slow`, a hundred in `make test-nightly`.
TIMES = settings().max_examples // REPEATABLE_EXAMPLES
SEEDS = range(1 if TIMES <= 1 else 5 * TIMES)


def bent(frames: Sequence[bytes], rng: np.random.Generator) -> Iterator[bytes]:
    """True frames made untrue, without end; noise among them."""
    ways = (_noise, _flipped, _cut, _spliced, _false_length, _repeated)
    while True:
        yield ways[rng.integers(len(ways))](frames, rng)


class Deaf:
    """A handler that counts links and forgets what it hears."""

    def __init__(self) -> None:
        self.ups = self.downs = 0
        self.codes: set[str] = set()

    def link_up(self, link: Link, *, dialled: bool) -> None:
        self.ups += 1

    def packet_received(self, link: Link, packet: Packet) -> None:
        assert packet is not None

    def link_down(self, link: Link, reason: str) -> None:
        self.downs += 1

    def objection(self, link: Link, offer: Offer) -> RemoteError | None:
        assert offer is not None
        return None

    def may_leave(self, link: Link, envelope: Envelope) -> bool:
        return envelope is not None

    def refused(self, link: Link, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        pass

    def denied(self, _address: str, error: RemoteError) -> None:
        self.codes.add(error.code)


async def deaf_listener(security: Security | None, limits: Limits) -> tuple[TcpTransport, str, Deaf]:
    """A transport that listens, its address, and who counts."""
    deaf = Deaf()
    transport = TcpTransport(
        "127.0.0.1",
        0,
        bodies=BODIES,
        parameters=PARAMETERS,
        limits=limits,
        refused=deaf.denied,
        security=security,
    )
    return transport, await transport.listen(lambda: greeting("bert"), deaf), deaf


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _noise(_frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(1, LONGEST_NOISE)))


def _flipped(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    data = bytearray(_any(frames, rng))
    for _ in range(int(rng.integers(1, 9))):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _cut(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    data = _any(frames, rng)
    return data[: rng.integers(1, len(data) + 1)]


def _spliced(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return _cut(frames, rng) + _any(frames, rng)[int(rng.integers(8)) :]


def _false_length(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    data = _any(frames, rng)
    length = (*LENGTHS, len(data) - 7, len(data) - 9)[rng.integers(len(LENGTHS) + 2)]
    return (length % 2**32).to_bytes(4, "big") + data[4:]


def _repeated(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    data, start = _any(frames, rng), int(rng.integers(8))
    return data + data[start : start + int(rng.integers(1, 40))] * int(rng.integers(1, 5))


def _any(frames: Sequence[bytes], rng: np.random.Generator) -> bytes:
    return frames[int(rng.integers(len(frames)))]
