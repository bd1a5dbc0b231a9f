"""Records from the local network: hints for those of our network, counters for the rest."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.discovery.records import (
    MAX_FOUND_PEERS,
    MAX_PEER_ADDRESSES,
    MAX_TXT_BYTES,
    Finds,
    encode_txt,
    parse_txt,
)
from p2pfl.errors import RemoteError
from p2pfl.identity.keys import format_id, network_id

NETWORK = network_id("demo")
WEAK_ID = format_id(bytes(32))


def id_of(number: int) -> str:
    return format_id(bytes([number % 256, number // 256, 9]) + bytes(29))


def announcement(number: int, network: bytes = NETWORK) -> Announcement:
    return Announcement(id_of(number), network, "127.0.0.1", 7000 + number)


def txt(*entries: str) -> bytes:
    return b"".join(bytes([len(entry)]) + entry.encode() for entry in entries)


def good(**changes: str) -> bytes:
    values = {"id": id_of(1), "v": "1.0", "net": NETWORK[:8].hex()} | changes
    return txt(*(f"{key}={value}" for key, value in values.items() if value))


def test_a_record_comes_back_as_it_was_announced() -> None:
    text = encode_txt(announcement(1))

    record = parse_txt(text)

    assert len(text) <= MAX_TXT_BYTES
    assert (record.id, record.major, record.network_prefix) == (id_of(1), 1, NETWORK[:8])
    assert parse_txt(good()) == record


def test_what_is_added_within_a_major_version_is_skipped() -> None:
    assert parse_txt(good(v="1.7") + txt("new=thing", "flag", "")).major == 1
    assert parse_txt(good(id=id_of(1).lower())).id == id_of(1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x00",
        good()[:-1],
        b"\xff" + good(),
        good(id=""),
        good(id=id_of(1)[:7]),
        good(id=id_of(1)[:-1] + "A"),
        good(id=WEAK_ID),
        good(v=""),
        good(v="1"),
        good(v="one.two"),
        good(v="١.٠"),
        good(net=""),
        good(net="xyz"),
        good(net=NETWORK.hex()),
        good() + txt("v=1.0"),
        good() + txt(*["x" * 99] * 4),
    ],
)
def test_a_malformed_record_is_refused_counted_and_gives_no_hint(text: bytes) -> None:
    finds = Finds(announcement(0))

    with pytest.raises(RemoteError):
        parse_txt(text)
    assert finds.see("x", text, ["127.0.0.1"], port=1) == []
    assert finds.ignored == {"malformed": 1}


@given(st.binary(max_size=500))
def test_any_bytes_are_a_record_or_a_remote_error(text: bytes) -> None:
    with suppress(RemoteError):
        parse_txt(text)


def test_a_peer_of_our_network_is_hinted_at_under_each_of_its_addresses() -> None:
    finds = Finds(announcement(0))

    hints = finds.see("x", good(), ["127.0.0.1", "::1", "127.0.0.1"], port=7001)

    assert hints == [
        Hint("tcp://127.0.0.1:7001", id_of(1), "mdns"),
        Hint("tcp://[::1]:7001", id_of(1), "mdns"),
    ]
    assert finds.see("x", good(), ["127.0.0.1", "::1"], port=7001) == []  # nothing new


@pytest.mark.parametrize(
    ("text", "addresses", "port", "reason"),
    [
        (good(net="00" * 8), ["127.0.0.1"], 1, "other_network"),
        (good(v="2.0"), ["127.0.0.1"], 1, "other_version"),
        (good(), [], 1, "no_address"),
        (good(), ["127.0.0.1"], 0, "no_address"),
    ],
)
def test_others_are_counted_and_ignored(text: bytes, addresses: list[str], port: int, reason: str) -> None:
    finds = Finds(announcement(0))

    assert finds.see("x", text, addresses, port=port) == []
    assert finds.ignored == {reason: 1}


def test_a_node_does_not_find_itself() -> None:
    finds = Finds(announcement(1))

    assert finds.see("x", good(), ["127.0.0.1"], port=1) == []
    assert finds.ignored == {}


def test_a_moved_peer_gives_the_new_address_and_takes_the_old_one_back() -> None:
    finds = Finds(announcement(0))
    finds.see("x", good(), ["10.0.0.1"], port=1)

    hints = finds.see("x", good(), ["10.0.0.2"], port=1)

    assert hints == [
        Hint("tcp://10.0.0.2:1", id_of(1), "mdns"),
        Hint("tcp://10.0.0.1:1", id_of(1), "mdns", gone=True),
    ]


def test_a_good_bye_takes_back_what_no_other_record_says() -> None:
    finds = Finds(announcement(0))
    finds.see("x", good(), ["10.0.0.1"], port=1)
    finds.see("y", good(), ["10.0.0.1"], port=1)

    assert finds.lose("x") == []
    assert finds.lose("x") == []
    assert finds.lose("y") == [Hint("tcp://10.0.0.1:1", id_of(1), "mdns", gone=True)]


def test_a_peer_that_changes_its_network_is_gone() -> None:
    finds = Finds(announcement(0))
    finds.see("x", good(), ["10.0.0.1"], port=1)

    hints = finds.see("x", good(net="00" * 8), ["10.0.0.1"], port=1)

    assert [hint.gone for hint in hints] == [True]


def test_a_flood_of_peers_and_addresses_fills_a_bounded_table() -> None:
    finds = Finds(announcement(0))
    addresses = [f"10.0.0.{number}" for number in range(9)]

    hints = [
        hint
        for number in range(1, 401)
        for hint in finds.see(str(number), good(id=id_of(number)), addresses, port=1)
    ]

    assert len(hints) == MAX_FOUND_PEERS * MAX_PEER_ADDRESSES
    assert finds.ignored == {"too_many": 400 - MAX_FOUND_PEERS}
    assert len(finds.see("7", good(id=id_of(7)), ["10.0.0.99"], port=1)) == 1 + MAX_PEER_ADDRESSES
    finds.lose("8")
    assert len(finds.see("401", good(id=id_of(401)), ["10.0.0.1"], port=1)) == 1
