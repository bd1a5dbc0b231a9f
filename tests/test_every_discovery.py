"""What holds for every registered discovery."""

import asyncio
import os
from collections.abc import Callable, Mapping

import pytest

from p2pfl import registry
from p2pfl.discovery.discovery import Announcement, Discovery, Hint
from p2pfl.discovery.mdns import MdnsDiscovery
from p2pfl.discovery.static import StaticDiscovery
from p2pfl.identity.keys import generate, network_id
from p2pfl.transports.addresses import parse_address

RUN = os.urandom(4).hex()  # another run of these tests may share the loopback
MAKE: Mapping[str, Callable[[], Discovery]] = {
    "mdns": lambda: MdnsDiscovery(interfaces=["127.0.0.1"]),
    "static": lambda: StaticDiscovery(["127.0.0.1:7151", "[::1]:7152", "kitchen"]),
}


def announcement() -> Announcement:
    return Announcement(generate().id, network_id(f"every-{RUN}"), "127.0.0.1", 7153)


def test_every_registered_discovery_is_tested_here() -> None:
    assert sorted(MAKE) == registry.names("discovery")
    for name, make in MAKE.items():
        assert type(make()) is registry.resolve("discovery", name)


@pytest.mark.parametrize("name", MAKE)
async def test_its_hints_can_be_dialled_and_name_their_source(name: str) -> None:
    hints: asyncio.Queue[Hint] = asyncio.Queue()
    me, other = MAKE[name](), MAKE[name]()

    await me.start(announcement(), hints.put_nowait)
    await other.start(announcement(), lambda _: None)
    async with asyncio.timeout(5):
        hint = await hints.get()
    await asyncio.gather(other.close(), me.close())

    assert hint.source == name
    assert not hint.gone
    assert parse_address(hint.address)


@pytest.mark.parametrize("name", MAKE)
async def test_it_can_be_closed_before_the_start_and_twice(name: str) -> None:
    discovery = MAKE[name]()

    await discovery.close()
    await discovery.start(announcement(), lambda _: None)
    await discovery.close()
    await discovery.close()

    assert asyncio.all_tasks() == {asyncio.current_task()}
