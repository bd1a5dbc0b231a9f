"""Which addresses are announced, and which are believed."""

from ipaddress import ip_interface

import ifaddr
import pytest

from p2pfl.discovery import interfaces
from p2pfl.discovery.interfaces import (
    announced_addresses,
    is_loopback,
    local_interfaces,
    usable_addresses,
)
from p2pfl.errors import TransportError

LOCAL = tuple(
    ip_interface(text)
    for text in ("127.0.0.1/8", "::1/128", "169.254.7.7/16", "192.168.1.31/24", "10.1.0.5/16", "fd00::2/64")
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("localhost", ["127.0.0.1"]),
        ("[::1]", ["::1"]),
        ("192.168.1.31", ["192.168.1.31"]),
        ("0.0.0.0", ["192.168.1.31", "10.1.0.5", "169.254.7.7"]),
        ("::", ["192.168.1.31", "10.1.0.5", "169.254.7.7", "fd00::2"]),
        ("", ["192.168.1.31", "10.1.0.5", "169.254.7.7", "fd00::2"]),
    ],
)
def test_a_node_announces_where_it_can_be_reached(host: str, expected: list[str]) -> None:
    assert announced_addresses(host, LOCAL, limit=4) == expected


def test_a_machine_without_a_network_announces_its_loopback() -> None:
    assert announced_addresses("0.0.0.0", LOCAL[:2], limit=4) == ["127.0.0.1"]
    assert announced_addresses("0.0.0.0", LOCAL, limit=1) == ["192.168.1.31"]


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.31", "kitchen", "")))


def test_only_addresses_of_a_local_subnet_or_the_loopback_are_used() -> None:
    heard = ["192.168.1.99", "192.168.2.1", "10.1.255.1", "8.8.8.8", "127.0.0.1", "fd00::9", "2001:db8::1"]

    used = usable_addresses(heard, LOCAL, is_local_only=False)

    assert used == ["192.168.1.99", "10.1.255.1", "127.0.0.1", "fd00::9"]


def test_a_node_on_the_loopback_uses_addresses_of_its_own_machine_alone() -> None:
    heard = ["192.168.1.99", "192.168.1.31", "127.0.0.1", "::1"]

    assert usable_addresses(heard, LOCAL, is_local_only=True) == ["192.168.1.31", "127.0.0.1", "::1"]


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "224.0.0.251", "ff02::fb", "", "kitchen", "1.2.3"])
def test_addresses_that_nobody_can_have_are_not_used(text: str) -> None:
    assert usable_addresses([text], LOCAL, is_local_only=False) == []


def test_this_machine_has_a_loopback_and_no_address_that_needs_a_scope() -> None:
    found = local_interfaces()

    assert any(str(one) == "127.0.0.1/8" for one in found)
    assert not any(one.version == 6 and one.ip.is_link_local for one in found)


def test_a_system_that_hides_its_interfaces_is_a_transport_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[ifaddr.Adapter]:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(interfaces, "get_adapters", refuse)

    with pytest.raises(TransportError, match="Operation not permitted"):
        local_interfaces()
