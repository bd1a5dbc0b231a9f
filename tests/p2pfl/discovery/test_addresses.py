"""Addresses as operators write them."""

import pytest

from p2pfl.discovery.addresses import format_address, parse_address
from p2pfl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.168.1.31:7000", "tcp://192.168.1.31:7000"),
        ("tcp://192.168.1.31:7000", "tcp://192.168.1.31:7000"),
        (" TCP://kitchen.local ", "tcp://kitchen.local:7964"),
        ("kitchen", "tcp://kitchen:7964"),
        ("node_1:1", "tcp://node_1:1"),
        ("[::1]:65535", "tcp://[::1]:65535"),
        ("tcp://[fd00::2]", "tcp://[fd00::2]:7964"),
        ("[fe80::1%eth0]:9", "tcp://[fe80::1%eth0]:9"),
    ],
)
def test_an_address_has_one_canonical_form(text: str, canonical: str) -> None:
    assert parse_address(text) == canonical
    assert parse_address(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a host"),
        (":7964", "not a host"),
        ("kitchen:", "not a port"),
        ("kitchen:0", "not a port"),
        ("kitchen:65536", "not a port"),
        ("kitchen:-1", "not a port"),
        ("kitchen:٣", "not a port"),
        ("kitchen:port", "not a port"),
        ("http://kitchen", "'http' is not a transport"),
        ("mqtt://broker:1883", "'mqtt' is not a transport"),
        ("::1", "in brackets"),
        ("fd00::2:7964", "in brackets"),
        ("[::1", "in brackets"),
        ("[1.2.3.4]:80:1", "not a port"),
        ("[::g]:80", "not a host"),
        ("256.1.1.1", "not a host"),
        ("10.0.1:80", "not a host"),
        ("kit chen", "not a host"),
        ("-kitchen", "not a host"),
        ("user@kitchen", "not a host"),
        ("kitchen/path", "not a host"),
        ("k" * 300, "not a host"),
    ],
)
def test_what_is_no_address_is_refused_with_the_entry_and_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_address(text, where="network.static")

    assert repr(text[:253]) in caught.value.what
    assert caught.value.where == "network.static"
    assert "host:port" in caught.value.fix


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert format_address("::1", 7964) == "tcp://[::1]:7964"
    assert format_address("10.0.0.1", 7964) == "tcp://10.0.0.1:7964"
