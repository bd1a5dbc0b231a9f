"""What holds for every registered transport, on every event loop it may run on."""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from p2pfl import registry
from p2pfl.errors import RemoteError, TransportError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat, Rumour, State
from p2pfl.transports.memory import MemoryLink
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Goodbye
from tests.p2pfl.transports.ends import End, World, world_of
from tests.p2pfl.wire.samples import PARAMETERS, assert_same_message, envelope, model, note

WORLDS = {"memory": ["asyncio"], "tcp": ["asyncio", "uvloop"], "tls": ["asyncio", "uvloop"]}
LARGE = 5_000_000  # parameters, 20 MB


def test_every_registered_transport_is_tested_here() -> None:
    assert sorted({*WORLDS} - {"tls"}) == registry.names("transport")  # "tls" is "tcp" with security


@pytest.fixture(params=[(kind, loop) for kind, loops in WORLDS.items() for loop in loops], ids="-".join)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, loop = request.param
    with world_of(kind, loop) as found:
        yield found


def test_both_sides_learn_who_the_other_is_and_who_dialled(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()

        assert anna.link.peer == world.greeting("bert")
        assert bert.link.peer == world.greeting("anna")
        assert (anna.dialled, bert.dialled) == ([True], [False])

    world.run(story)


def test_the_link_is_up_when_dial_returns(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.end("anna"), await world.end("bert")
        await anna.transport.dial(bert.address)

        assert [link.peer.id for link in anna.links] == [world.greeting("bert").id]

    world.run(story)


@pytest.mark.parametrize(
    "message",
    [
        Message("model", 4, model(), {"whole": -7, "real": 0.1, "text": "Grüße", "bytes": b"\x00\xff"}),
        Message("tracking", 5, model(), {}, (np.arange(PARAMETERS, dtype=np.float32),)),
        Message("total", 6, None, {}, (np.linspace(0, 1, PARAMETERS), np.linspace(1, 2, 3))),
        Message("codes", 7, None, {"scale": 0.25}, (np.arange(5, dtype=np.uint8),)),
        Message("note", 8),
    ],
    ids=lambda message: message.kind,
)
def test_a_message_arrives_as_it_was_sent(world: World, message: Message) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(Envelope(message, b"roster"))
        found = await bert.message()

        assert found.roster == b"roster"
        assert_same_message(found.message, message)
        arrays = [*found.message.body, *([found.message.model.params] if found.message.model else [])]
        assert not any(array.flags.writeable for array in arrays)

    world.run(story)


def test_a_heartbeat_arrives_with_its_rumours(world: World) -> None:
    heartbeat = Heartbeat(4, b"roster", (Rumour("cleo", 2, State.SUSPECT, "Cleo", "tcp://10.0.0.1:7964"),))

    async def story() -> None:
        anna, bert = await world.pair()
        bert.link.send(heartbeat)

        assert await anna.packet() == heartbeat

    world.run(story)


def test_packets_arrive_in_order_in_both_directions(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(limits=Limits(outbox_messages=20))
        for number in range(20):
            anna.link.send(envelope(number) if number % 3 else note(number))
            bert.link.send(envelope(number))

        assert [(await bert.message()).message.round for _ in range(20)] == list(range(20))
        assert [(await anna.message()).message.round for _ in range(20)] == list(range(20))

    world.run(story)


def test_a_large_model_arrives_whole_in_both_directions_at_once(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        sent = envelope(1, parameters=LARGE)
        anna.link.send(sent)
        bert.link.send(sent)
        for end in (anna, bert):
            assert_same_message((await end.message()).message, sent.message)

    world.run(story)


def test_while_a_large_model_is_under_way_the_outbox_keeps_the_newest(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        anna.link.send(envelope(1, parameters=LARGE))
        for number in range(2, 10):
            anna.link.send(note(number))
        found = [(await bert.message()).message.round for _ in range(5)]

        assert found == [1, 6, 7, 8, 9]  # the first, and the four newest

    world.run(story)


def test_an_unsent_message_is_replaced_by_a_later_one_with_the_same_key(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        anna.link.send(envelope(1, parameters=LARGE), replaces="model")
        anna.link.send(note(2), replaces="model")
        anna.link.send(note(3))
        anna.link.send(note(4), replaces="model")
        found = [(await bert.message()).message.round for _ in range(3)]

        assert found == [1, 3, 4]

    world.run(story)


def test_a_heartbeat_overtakes_what_waits_and_what_is_offered(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        anna.link.send(envelope(1, parameters=LARGE))
        anna.link.send(note(2))
        anna.link.send(Heartbeat(9, b""))

        assert await bert.packet() == Heartbeat(9, b"")
        assert [(await bert.message()).message.round for _ in range(2)] == [1, 2]

    world.run(story)


@pytest.mark.parametrize(
    ("stranger", "code", "words"),
    [
        ("another network", "wrong_network", "another network"),
        ("ourselves", "own_id", "our own id"),
        ("another plan", "wrong_plan", "theirs is ring; ours is star"),
        ("another model", "wrong_schema", "theirs is x: 7; ours is y: 8"),
    ],
    ids=lambda value: value if "_" in value else "",
)
def test_whoever_dials_is_told_why_it_is_refused(world: World, stranger: str, code: str, words: str) -> None:
    if (world.kind, code) == ("tls", "own_id"):
        return  # whoever dials sees it before it says anything: see test_tls.py
    strangers = {
        "another network": replace(world.greeting("cleo"), network=b"x" * 32),
        "ourselves": world.greeting("bert"),
        "another plan": world.greeting("cleo", "star"),
        "another model": replace(world.greeting("cleo"), schema=b"another!", schema_words="y: 8"),
    }

    async def story() -> None:
        bert, other = await world.end("bert"), await world.end(strangers[stranger])
        with pytest.raises(RemoteError, match=words) as caught:
            await other.transport.dial(bert.address)
        await bert.until(lambda: bool(bert.denied))

        assert caught.value.code == code
        assert [found for found, _ in bert.denied] == [code]
        assert [found for found, _ in other.denied] == [code]
        assert bert.links == other.links == []

    world.run(story)


def test_a_refused_dial_disturbs_no_other_link(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        cleo = await world.end(world.greeting("cleo", "star"))
        with pytest.raises(RemoteError):
            await cleo.transport.dial(bert.address)
        anna.link.send(note(1))

        assert (await bert.message()).message.round == 1
        assert bert.downs.empty()

    world.run(story)


def test_an_address_where_nobody_listens_is_a_transport_error(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        await bert.transport.close()
        with pytest.raises(TransportError, match="cannot be reached"):
            await anna.transport.dial(bert.address)

    world.run(story)


def test_a_goodbye_is_heard_with_its_code_and_ends_the_link_once_on_each_side(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        link = anna.link
        link.close("leaving", "see you")
        link.close("leaving", "again")
        link.send(note(1))

        assert await bert.packet() == Goodbye("leaving", "see you")
        assert await bert.down() == await anna.down() == "leaving: see you"
        await anna.transport.close()
        await bert.transport.close()
        assert anna.downs.empty()
        assert bert.downs.empty()
        assert bert.packets.empty()

    world.run(story)


def test_a_goodbye_drops_what_waits_but_not_the_model_under_way(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        anna.link.send(envelope(1, parameters=LARGE))
        anna.link.send(note(2))
        await half_sent(anna, bert)
        anna.link.close("leaving")

        assert (await bert.message()).message.round == 1
        assert await bert.packet() == Goodbye("leaving")

    world.run(story)


def test_a_link_that_is_cut_drops_what_waits_and_the_model_under_way(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        anna.link.send(envelope(1, parameters=LARGE))
        anna.link.send(note(2))
        await half_sent(anna, bert)
        anna.link.cut("trust_changed", "other lists")

        assert await bert.packet() == Goodbye("trust_changed", "other lists")
        assert await bert.down() == await anna.down() == "trust_changed: other lists"
        assert bert.packets.empty()

    world.run(story)


def test_a_goodbye_drops_a_model_that_is_only_offered(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(envelope(1))
        anna.link.close("leaving")

        assert await bert.packet() == Goodbye("leaving")

    world.run(story)


async def half_sent(sender: End, receiver: End) -> None:
    """A model is under way, and not all of it is there."""
    await receiver.until(lambda: bool(receiver.offers))
    link, before = sender.link, receiver.link.bytes_received
    for _ in range(100_000):
        if isinstance(link, MemoryLink):
            has_begun = link._under_way_bytes > 0
        else:
            has_begun = receiver.link.bytes_received > before
        if has_begun:
            break
        await asyncio.sleep(0)
    assert receiver.packets.empty()


def test_closing_a_transport_says_goodbye_on_every_link(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        cleo = await world.end("cleo")
        await cleo.transport.dial(bert.address)
        await bert.until(lambda: len(bert.links) == 2)
        await bert.transport.close()

        assert [await bert.down(), await bert.down()] == ["leaving", "leaving"]
        assert await anna.packet() == await cleo.packet() == Goodbye("leaving")
        assert await anna.down() == await cleo.down() == "leaving"

    world.run(story)


def test_two_nodes_may_have_several_links_each_with_its_own_end(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        await bert.transport.dial(anna.address)
        await anna.until(lambda: len(anna.links) == 2)
        anna.links[0].close("duplicate")

        assert await anna.down() == "duplicate"
        anna.links[1].send(note(5))
        assert await bert.packet() == Goodbye("duplicate")
        assert (await bert.message()).message.round == 5

    world.run(story)


def test_models_that_are_dropped_make_room_for_any_number_of_others(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(limits=Limits(held_models=2))
        for number in range(30):
            anna.link.send(envelope(number))
            assert (await bert.message()).message.round == number
            gc.collect(0)

    world.run(story)
