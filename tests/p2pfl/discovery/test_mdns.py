"""Multicast DNS on the loopback: found, kept apart by network, gone after a good-bye."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from p2pfl.discovery import mdns
from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.discovery.mdns import SERVICE_TYPE, MdnsDiscovery
from p2pfl.discovery.records import encode_txt
from p2pfl.errors import TransportError
from p2pfl.identity.keys import generate, network_id

DEADLINE_S = 5.0
RUN = os.urandom(4).hex()  # in every network's name: another run of these tests may share the loopback
Starting = Callable[[str, int], Awaitable["Node"]]


class Node:
    """One discovery and the hints it gave."""

    def __init__(self, network: str, port: int) -> None:
        self.announcement = Announcement(generate().id, network_id(f"{network}-{RUN}"), "127.0.0.1", port)
        self.discovery = MdnsDiscovery()
        self.hints: asyncio.Queue[Hint] = asyncio.Queue()

    async def start(self) -> None:
        await self.discovery.start(self.announcement, self.hints.put_nowait)

    async def next_hint(self) -> Hint:
        async with asyncio.timeout(DEADLINE_S):
            return await self.hints.get()

    def hint(self, *, gone: bool = False) -> Hint:
        address = f"tcp://127.0.0.1:{self.announcement.port}"
        return Hint(address, self.announcement.id, "mdns", gone)


@pytest.fixture
async def start() -> AsyncIterator[Starting]:
    """Starts nodes of a network, and closes them after the test."""
    started: list[Node] = []

    async def start_one(network: str, port: int) -> Node:
        node = Node(network, port)
        await node.start()
        started.append(node)
        return node

    yield start_one
    await asyncio.gather(*(node.discovery.close() for node in started))


async def test_three_nodes_find_each_other_but_not_those_of_another_network(start: Starting) -> None:
    began = asyncio.get_running_loop().time()
    stranger = await start("mdns-test-other", 7199)
    nodes = [await start("mdns-test", 7101 + number) for number in range(3)]

    for node in nodes:
        found = {await node.next_hint() for _ in range(2)}
        assert found == {other.hint() for other in nodes if other is not node}

    assert asyncio.get_running_loop().time() - began < 2.0
    assert stranger.hints.empty()
    assert all(node.hints.empty() for node in nodes)


async def test_a_node_that_closes_says_good_bye_and_may_come_back(start: Starting) -> None:
    stays = await start("mdns-test-bye", 7111)
    leaves = await start("mdns-test-bye", 7112)
    assert await stays.next_hint() == leaves.hint()

    await leaves.discovery.close()

    assert await stays.next_hint() == leaves.hint(gone=True)

    await leaves.start()
    assert await stays.next_hint() == leaves.hint()


async def test_one_identity_in_two_networks_is_two_instances(start: Starting) -> None:
    one, two = Node("mdns-test-a", 7121), Node("mdns-test-b", 7122)
    two.announcement = replace(two.announcement, id=one.announcement.id)
    watches = [await start("mdns-test-a", 7123), await start("mdns-test-b", 7124)]

    async with AsyncExitStack() as stack:
        for node in (one, two):
            await node.start()
            stack.push_async_callback(node.discovery.close)

        assert await watches[0].next_hint() == one.hint()
        assert await watches[1].next_hint() == two.hint()


async def test_a_forged_record_and_a_far_address_are_no_hints(start: Starting) -> None:
    node = await start("mdns-test-forged", 7131)
    honest = Node("mdns-test-forged", 7132)
    far = AsyncServiceInfo(
        SERVICE_TYPE,
        f"far.{SERVICE_TYPE}",
        port=7133,
        properties=encode_txt(honest.announcement),
        server="far.local.",
        parsed_addresses=["203.0.113.9"],
    )
    garbage = AsyncServiceInfo(
        SERVICE_TYPE,
        f"garbage.{SERVICE_TYPE}",
        port=7134,
        properties=b"\x09id=foul\xff",
        server="garbage.local.",
        parsed_addresses=["127.0.0.1"],
    )
    garbage.name = f"garbage\x00\x1b[31m.{SERVICE_TYPE}"
    forger = AsyncZeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    try:
        for info in (far, garbage):
            forger.zeroconf.registry.async_add(info)
        async with asyncio.timeout(DEADLINE_S):
            await forger.zeroconf.async_wait_for_start()
            for info in (far, garbage):
                forger.zeroconf.async_send(forger.zeroconf.generate_service_broadcast(info, None))
        await honest.start()
        try:
            assert await node.next_hint() == honest.hint()
            assert node.hints.empty()
            assert node.discovery.ignored["no_address"] >= 1
            assert node.discovery.ignored["malformed"] >= 1
        finally:
            await honest.discovery.close()
    finally:
        await forger.async_close()


async def test_an_interface_that_is_not_there_is_said_in_words() -> None:
    discovery = MdnsDiscovery(interfaces=["203.0.113.9"])

    with pytest.raises(TransportError, match=r"no interface has the address 203\.0\.113\.9") as caught:
        await discovery.start(Node("n", 1).announcement, lambda _: None)
    assert "network.static" in caught.value.fix
    with pytest.raises(TransportError, match="none given"):
        await MdnsDiscovery(interfaces=[]).start(Node("n", 1).announcement, lambda _: None)
    await discovery.close()


@pytest.mark.parametrize("error", [OSError(98, "Address already in use"), RuntimeError("No interfaces")])
async def test_a_port_or_interface_that_is_not_to_be_had_is_said_in_words(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: object) -> AsyncZeroconf:
        raise error

    monkeypatch.setattr(mdns, "AsyncZeroconf", refuse)

    with pytest.raises(TransportError, match="multicast DNS cannot be used"):
        await MdnsDiscovery().start(Node("n", 1).announcement, lambda _: None)


async def test_nothing_is_left_running_after_close() -> None:
    before = asyncio.all_tasks()
    node = Node("mdns-test-clean", 7141)

    await node.start()
    await node.discovery.close()
    await node.discovery.close()

    assert asyncio.all_tasks() == before
