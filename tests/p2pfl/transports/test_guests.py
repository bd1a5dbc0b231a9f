"""Links that exist only because anybody may have our model: a few, and only while they ask for something."""

import asyncio
from collections.abc import Iterator

import pytest

from p2pfl.errors import RemoteError
from p2pfl.transports.tls import Security
from p2pfl.trust import Trust
from p2pfl.wire.limits import Limits
from tests.p2pfl.identities import NOBODY, ids, someone
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.wire.samples import note

ONE_GUEST = Limits(guest_links=1)


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("tls", "asyncio") as found:
        yield found


def generous(world: World) -> Security:
    """Bert lists Anna; everybody may have his model."""
    return world.files.security("bert", trust=Trust(ids("anna"), None))


def guest(world: World, name: str) -> Security:
    return world.files.security(name, trust=Trust(ids("bert"), NOBODY))


def test_a_guest_more_than_there_may_be_is_refused_and_a_listed_peer_still_gets_in(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", security=generous(world), limits=ONE_GUEST)
        cleo, dora = [await world.end(name, security=guest(world, name)) for name in ("cleo", "dora")]
        anna = await world.end("anna", security=guest(world, "anna"))
        await cleo.transport.dial(bert.address)
        with pytest.raises(RemoteError, match="too many") as caught:
            await dora.transport.dial(bert.address)
        await anna.transport.dial(bert.address)
        await bert.until(lambda: len(bert.links) == 2)

        assert caught.value.code == "crowded"
        assert [link.peer.id for link in bert.links] == [someone("cleo").id, someone("anna").id]
        assert [code for code, _ in bert.denied] == ["crowded"]

    world.run(story)


def test_the_place_of_a_guest_that_has_gone_is_free_for_another(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", security=generous(world), limits=ONE_GUEST)
        cleo, dora = [await world.end(name, security=guest(world, name)) for name in ("cleo", "dora")]
        await cleo.transport.dial(bert.address)
        await cleo.transport.close()
        await bert.down()
        await dora.transport.dial(bert.address)

        assert dora.links

    world.run(story)


def test_a_guest_that_asks_for_nothing_is_sent_away_and_nobody_else_is(world: World) -> None:
    limits = Limits(guest_idle_s=0.2)

    async def story() -> None:
        bert = await world.end("bert", security=generous(world), limits=limits)
        cleo, anna = [await world.end(name, security=guest(world, name)) for name in ("cleo", "anna")]
        await anna.transport.dial(bert.address)
        await cleo.transport.dial(bert.address)
        began_s = asyncio.get_running_loop().time()
        cleo.link.send(note(1))

        assert (await cleo.down()).startswith("idle: no request for 0.2 s")
        assert asyncio.get_running_loop().time() - began_s > 0.15
        anna.link.send(note(2))
        assert [(await bert.message()).message.round, (await bert.message()).message.round] == [1, 2]
        assert anna.downs.empty()

    world.run(story)


def test_only_who_is_on_no_list_is_a_guest() -> None:
    open_to_all = Trust(ids("anna"), None, observers=ids("olga"), deny=ids("dora"), proved=ids("paul"))

    found = [open_to_all.is_guest(someone(name).id) for name in ("anna", "olga", "dora", "paul", "cleo")]
    assert found == [False, False, False, False, True]
    assert not Trust().is_guest("anybody")
    assert not Trust(NOBODY, NOBODY).is_guest("anybody")
