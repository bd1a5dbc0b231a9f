"""What only the memory transport has: no copy, and cables that can be pulled."""

from collections.abc import Iterator

import numpy as np
import pytest

from p2pfl.transports.memory import MemoryLink
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.wire.samples import envelope, note


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("memory", "asyncio") as found:
        yield found


def test_arrays_are_handed_over_without_a_copy_and_read_only(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        sent = envelope()
        anna.link.send(sent)
        found = (await bert.message()).message.model

        assert found is not None
        assert sent.message.model is not None
        assert np.shares_memory(found.params, sent.message.model.params)
        assert not found.params.flags.writeable
        assert sent.message.model.params.flags.writeable

    world.run(story)


def test_nothing_arrives_before_the_sender_has_finished_its_turn(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(note(1))
        assert bert.packets.empty()

        assert (await bert.message()).message.round == 1

    world.run(story)


def test_small_messages_are_all_under_way_at_once_as_in_a_socket(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        for number in range(10):
            anna.link.send(note(number), replaces="note")
        assert isinstance(anna.link, MemoryLink)
        assert anna.link.waiting == 0

        assert [(await bert.message()).message.round for _ in range(10)] == list(range(10))

    world.run(story)


def test_a_cut_cable_ends_links_without_a_goodbye_and_loses_what_is_under_way(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(note(1))
        world.hub.cut(anna.address)

        assert await anna.down() == await bert.down() == "connection lost"
        assert bert.packets.empty()
        await anna.transport.dial(bert.address)
        assert len(anna.links) == 2

    world.run(story)
