"""The operator's list of peers."""

import pytest

from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.discovery.static import StaticDiscovery
from p2pfl.errors import ConfigError


async def test_each_address_is_hinted_at_once_but_never_ones_own() -> None:
    hints: list[Hint] = []
    discovery = StaticDiscovery(["a:1", "tcp://a:1", "[::1]:2", "b", "127.0.0.1:3"])

    await discovery.start(Announcement("me", bytes(32), "[::1]", 2), hints.append)
    await discovery.close()

    addresses = ["tcp://a:1", "tcp://b:7964", "tcp://127.0.0.1:3"]
    assert hints == [Hint(address, "", "static") for address in addresses]


def test_a_bad_entry_is_named_before_the_start() -> None:
    with pytest.raises(ConfigError, match="'b:x' is not an address") as caught:
        StaticDiscovery(["a:1", "b:x"])

    assert caught.value.where == "network.static"


async def test_another_list_hints_at_what_is_new_and_takes_back_what_is_gone() -> None:
    hints: list[Hint] = []
    discovery = StaticDiscovery(["a:1", "b:2"])
    discovery.change(["b:2", "c:3"])  # before it has started
    await discovery.start(Announcement("me", bytes(32), "127.0.0.1", 9), hints.append)
    hints.clear()

    discovery.change(["c:3", "d:4", "127.0.0.1:9"])

    assert hints == [Hint("tcp://d:4"), Hint("tcp://b:2", gone=True)]
    with pytest.raises(ConfigError):
        discovery.change(["d:4", "no port:x"])
    discovery.change(["c:3", "d:4"])
    assert len(hints) == 2
