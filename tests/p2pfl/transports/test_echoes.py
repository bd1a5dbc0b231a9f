"""Every transport answers pings itself, so many per second, and hands only the answers to its owner."""

from collections.abc import Iterator

import pytest

from p2pfl.wire.packets import Envelope
from p2pfl.wire.ping import ECHOES_PER_S, MAX_PING_BYTES, Ping, Pong
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.wire.samples import note


@pytest.fixture(params=["memory", "tcp", "tls"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of(request.param, "asyncio") as found:
        yield found


def test_a_ping_comes_back_as_it_was_sent(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        payload = bytes(range(256)) * (MAX_PING_BYTES // 256)

        before = anna.link.bytes_received
        anna.link.send(Ping(payload))

        assert await anna.packet() == Pong(payload)
        assert anna.link.bytes_received > before
        assert bert.packets.empty()

    world.run(story)


def test_pings_beyond_the_allowance_are_dropped_and_the_link_goes_on(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        answered = 0
        for number in range(3 * int(ECHOES_PER_S)):
            anna.link.send(Ping(bytes([number])))
            anna.link.send(note(number))
            await bert.message()  # what came before it has been answered, or not
            bert.link.send(note(number))
            while not isinstance(await anna.packet(), Envelope):
                answered += 1

        assert ECHOES_PER_S <= answered < 2 * ECHOES_PER_S
        assert (anna.downs.empty(), bert.downs.empty()) == (True, True)

    world.run(story)
