"""Tickets: what goes in comes out, a mistyped one is refused, and so is whatever else is no ticket."""

from base64 import b32encode
from contextlib import suppress
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import ConfigError
from p2pfl.identity import ticket as tickets
from p2pfl.identity.keys import format_id
from p2pfl.identity.ticket import MAX_CHARACTERS, PREFIX, Ticket, decode_ticket, encode_ticket
from tests.p2pfl.identities import someone

TICKET = Ticket(
    "lab",
    someone("anna").id,
    ("tcp://192.168.1.31:7964", "tcp://[fe80::1]:7964"),
    network_key=b"k" * 32,
    plan={"topology.name": "torus", "network.seed": 7},
)


def packed(values: object) -> str:
    body = msgpack.packb(values)
    return PREFIX + b32encode(body).decode().rstrip("=") + tickets._check(body)


def test_a_ticket_survives_its_line_in_any_case_and_broken_over_lines() -> None:
    line = encode_ticket(TICKET)

    assert len(line) <= MAX_CHARACTERS
    assert decode_ticket(line) == TICKET
    assert decode_ticket(f" {line[:80].lower()}\n  {line[80:]}\n") == TICKET


def test_a_ticket_shows_no_secret() -> None:
    assert "kkk" not in repr(TICKET)


def test_a_ticket_without_network_key_and_plan_is_short() -> None:
    bare = replace(TICKET, network_key=None, plan={})

    assert decode_ticket(encode_ticket(bare)) == bare
    assert len(encode_ticket(bare)) < 200


def test_addresses_that_do_not_fit_are_left_out_but_never_all_of_them() -> None:
    many = replace(TICKET, addresses=tuple(f"tcp://{'x' * 70}{i}:1" for i in range(4)))
    found = decode_ticket(encode_ticket(many))

    assert 1 <= len(found.addresses) < 4
    assert found.addresses == many.addresses[: len(found.addresses)]


def test_a_plan_that_does_not_fit_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="does not fit"):
        encode_ticket(replace(TICKET, plan={f"protocol.{i}": "x" * 40 for i in range(20)}))


def test_every_changed_letter_is_noticed() -> None:
    line = encode_ticket(TICKET)
    for place in range(len(PREFIX), len(line)):
        other = "A" if line[place] != "A" else "B"
        with pytest.raises(ConfigError):
            decode_ticket(line[:place] + other + line[place + 1 :])


@pytest.mark.parametrize(
    "change",
    [
        {"n": "Lab!"},
        {"n": None},
        {"k": b"k"},
        {"k": bytes(32)},
        {"a": "tcp://a:1"},
        {"a": ["tcp://a:1"] * 5},
        {"a": ["tcp://a:1\x1b[31m"]},
        {"s": b"short"},
        {"p": ["x"]},
        {"p": {"topology.name": ["x"]}},
        {"p": {"topology.name": "x\ny"}},
        {"p": {f"x{i}": 1 for i in range(40)}},
    ],
)
def test_a_ticket_with_anything_else_in_it_is_refused(change: dict[str, object]) -> None:
    good = {"n": "lab", "k": someone("anna").private_key.public_key().public_bytes_raw(), "a": []}
    assert decode_ticket(packed(good)).node == format_id(good["k"])  # type: ignore[arg-type]

    with pytest.raises(ConfigError):
        decode_ticket(packed({**good, **change}))


@given(st.text(max_size=600) | st.binary(max_size=300).map(lambda b: PREFIX + b32encode(b).decode()))
def test_any_text_is_a_ticket_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        decode_ticket(text)


@given(st.binary(max_size=200))
def test_any_bytes_with_the_right_check_are_a_ticket_or_a_config_error(body: bytes) -> None:
    with suppress(ConfigError):
        decode_ticket(PREFIX + b32encode(body).decode().rstrip("=") + tickets._check(body))
