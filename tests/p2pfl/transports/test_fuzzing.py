"""Ten thousand bent frames at a live listener: it refuses, forgets, and goes on answering."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from p2pfl.identity.handshake import HELLO, ClientHandshake
from p2pfl.transports.addresses import parse_address
from p2pfl.transports.tls import ALPN, Security, client_context
from p2pfl.wire.framing import HEADER_BYTES, FrameType, frame
from p2pfl.wire.limits import MEGABYTE, Limits
from p2pfl.wire.link_codec import encode_greeting
from tests.corpus.replay import read
from tests.corpus.samples import GREETED
from tests.p2pfl.identities import NETWORK_KEY
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.transports.fuzzing import SEEDS, bent, deaf_listener, resident_bytes
from tests.p2pfl.wire.samples import greeting

AT_ONCE = 8
WARM_UP = 200  # frames, after which memory is measured
WIDE_OPEN = Limits(loopback_times=1_000_000)
HELLO_BYTES = 517
ANSWER_S = 1.0
PATIENCE_S = 0.05  # with a listener that waits for the rest of a frame

PLAIN, BEFORE_TLS, IN_TLS, PROVED = "greeted", "before TLS", "before the proof", "behind the proof"
SHARES = {PLAIN: 5000, BEFORE_TLS: 3000, IN_TLS: 1500, PROVED: 500}


def frames(states: Callable[[str], bool]) -> list[bytes]:
    return [
        line.stream.data for kind in ("valid", "hostile") for line in read(kind) if states(line.stream.state)
    ]


def client_hello() -> bytes:
    """The first bytes of a TLS client."""
    sent = ssl.MemoryBIO()
    context = client_context()
    context.set_alpn_protocols([ALPN])
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()


@dataclass(frozen=True)
class Thrower:
    """Says one thing per connection, after what must come before it."""

    address: str
    context: ssl.SSLContext | None = None  # of TLS
    prove: Callable[[bytes], bytes] | None = None  # what answers the server's HELLO

    async def throw_all(self, many: Iterable[bytes]) -> None:
        """A few connections at a time."""
        waiting = iter(many)

        async def some() -> None:
            for data in waiting:
                with suppress(ConnectionError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError):
                    await self._throw(data)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def _throw(self, data: bytes) -> None:
        """Say it, and read what comes back until the listener has had enough of it."""
        where = parse_address(self.address)
        if self.context is None:
            reader, writer = await asyncio.open_connection(*where)
        else:
            reader, writer = await asyncio.open_connection(*where, ssl=self.context, server_hostname="")
        try:
            if self.prove is not None:
                data = self.prove(await reader.readexactly(HEADER_BYTES + HELLO.size)) + data
            writer.write(data)
            if self.context is None:
                writer.write_eof()
            async with asyncio.timeout(5.0 if self.context is None else PATIENCE_S):
                await reader.read()
        finally:
            writer.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def bombard(world: World, phase: str, *, count: int, seed: int) -> None:
    """Throw frames, then see what memory they have cost and whether an honest peer is answered."""
    secure = phase in (BEFORE_TLS, IN_TLS, PROVED)
    world.kind = "tls" if secure else "tcp"
    his = world.files.security("bert", network_key=NETWORK_KEY) if secure else None
    transport, address, deaf = await deaf_listener(his, WIDE_OPEN)
    try:
        source = ammunition(phase, np.random.default_rng([seed, len(phase)]))
        thrower = thrower_of(world, phase, address, his)
        await thrower.throw_all(islice(source, min(WARM_UP, count)))
        before = resident_bytes()
        await thrower.throw_all(islice(source, count - WARM_UP))
        grown = resident_bytes() - before

        anna = await world.end("anna")
        async with asyncio.timeout(ANSWER_S):
            await anna.transport.dial(address)
        assert anna.links
        assert grown < 32 * MEGABYTE
        assert deaf.codes & {"malformed", "unexpected_frame", "too_big", "no_tls"}
    finally:
        await transport.close()
    assert deaf.ups == deaf.downs
    assert deaf.ups > (count // 2 if phase in (PLAIN, PROVED) else 0)


def thrower_of(world: World, phase: str, address: str, his: Security | None) -> Thrower:
    if phase in (PLAIN, BEFORE_TLS) or his is None:
        return Thrower(address)
    context = client_context()
    context.set_alpn_protocols([ALPN])
    if phase == IN_TLS:
        return Thrower(address, context)
    hers = world.files.security("cleo", network_key=NETWORK_KEY)

    def prove(hello: bytes) -> bytes:
        cleo = ClientHandshake(hers.credentials, hers.admission, server=his.credentials.key, nonce=bytes(32))
        return frame(FrameType.AUTH, cleo.auth(hello[HEADER_BYTES:])) + encode_greeting(greeting("cleo"))

    return Thrower(address, context, prove)


def ammunition(phase: str, rng: np.random.Generator) -> Iterator[bytes]:
    if phase == BEFORE_TLS:
        return bent([client_hello()], rng)
    if phase == PLAIN:
        greeted = frames(lambda state: state == GREETED)
        return (encode_greeting(greeting("stranger")) + data for data in bent(greeted, rng))
    if phase == IN_TLS:
        return bent(frames(lambda state: state != GREETED), rng)
    return bent(frames(lambda state: state == GREETED), rng)


@pytest.mark.parametrize("phase", [PLAIN, BEFORE_TLS])
def test_a_few_bent_frames_do_no_harm(phase: str, loop: str) -> None:
    with world_of("tls", loop) as world:
        world.run(lambda: bombard(world, phase, count=WARM_UP + 50, seed=0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("phase", list(SHARES))
def test_ten_thousand_bent_frames_do_no_harm(phase: str, seed: int, loop: str) -> None:
    count = SHARES[phase] // 2  # on each of two event loops
    with world_of("tls", loop) as world:
        world.run(lambda: bombard(world, phase, count=count, seed=seed))
