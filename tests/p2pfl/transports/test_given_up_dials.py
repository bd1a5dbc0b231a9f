"""Whoever dials may lose interest at any moment; no link is cut for it, and no connection is forgotten."""

import asyncio
from collections.abc import Iterator

import pytest

from p2pfl.membership import Heartbeat
from tests.p2pfl.transports.ends import World, world_of

STEPS = 16  # turns of the event loop: more than a dial takes


@pytest.fixture(
    params=[(kind, loop) for kind in ("tcp", "tls") for loop in ("asyncio", "uvloop")], ids="-".join
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, loop = request.param
    with world_of(kind, loop) as found:
        yield found


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_dial_given_up_at_any_step_leaves_a_transport_that_closes(world: World, steps: int) -> None:
    async def story() -> None:
        anna, bert = await world.end("anna"), await world.end("bert")
        dial = asyncio.get_running_loop().create_task(anna.transport.dial(bert.address))
        await _turns(steps)
        dial.cancel()
        await asyncio.gather(dial, return_exceptions=True)
        async with asyncio.timeout(2):
            await anna.transport.close()
            await _turns(STEPS)  # asyncio loses a socket that it accepts while its server is closed
            await bert.transport.close()

    world.run(story)


def test_a_link_that_is_up_stays_up_when_its_dial_is_given_up(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.end("anna"), await world.end("bert")
        dial = asyncio.get_running_loop().create_task(anna.transport.dial(bert.address))
        await anna.until(lambda: bool(anna.links))
        dial.cancel()
        await asyncio.gather(dial, return_exceptions=True)
        await bert.until(lambda: bool(bert.links))

        anna.link.send(Heartbeat(1, b"12345678"))

        assert isinstance(await bert.packet(), Heartbeat)
        assert anna.downs.empty()
        assert bert.downs.empty()

    world.run(story)
