"""A ticket: one line with which another machine can join a network.

``p2pnode1-``, then base32 of a msgpack map, then 4 check characters; at most ``MAX_CHARACTERS``.  In ticket
mode it holds the network key and is therefore a secret.
"""

import re
from base64 import b32decode, b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

import msgpack

from p2pfl.errors import ConfigError
from p2pfl.identity.keys import KEY_BYTES, format_id, is_allowed_key, network_id, parse_id
from p2pfl.identity.transcript import NETWORK_KEY_BYTES

PREFIX = "p2pnode1-"
MAX_CHARACTERS = 512
MAX_ADDRESSES = 4
MAX_ADDRESS = 80  # characters
MAX_PLAN = 32  # settings
CHECK_CHARACTERS = 4
BAD_TICKET = 7  # exit code

PlanValue: TypeAlias = bool | int | float | str

_CHECK_TAG = b"p2pnode-ticket-v1\0"
_LETTERS = re.compile(r"[A-Z2-7]+")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to go, whom to expect there, and what is learned in that network."""

    network: str
    node: str  # the inviter's full id
    addresses: tuple[str, ...]
    network_key: bytes | None = field(default=None, repr=False)
    plan: Mapping[str, PlanValue] = field(default_factory=dict)  # settings that differ from the defaults


def encode_ticket(ticket: Ticket) -> str:
    """The line; addresses that do not fit are left out.  Raises ConfigError when the rest does not fit."""
    for count in range(min(len(ticket.addresses), MAX_ADDRESSES), -1, -1):
        text = _line(ticket, ticket.addresses[:count])
        if len(text) <= MAX_CHARACTERS and (count or not ticket.addresses):
            return text
    raise ConfigError(
        f"the plan of this network does not fit into a ticket of {MAX_CHARACTERS} characters",
        fix="copy the sections [topology], [protocol] and [task] by hand, and p2pnode invite --no-plan",
    )


def _line(ticket: Ticket, addresses: tuple[str, ...]) -> str:
    values: dict[str, object] = {"n": ticket.network, "k": parse_id(ticket.node), "a": list(addresses)}
    if ticket.network_key is not None:
        values["s"] = ticket.network_key
    if ticket.plan:
        values["p"] = dict(ticket.plan)
    packed: bytes = msgpack.packb(values)
    return PREFIX + b32encode(packed).decode().rstrip("=") + _check(packed)


def decode_ticket(text: str) -> Ticket:
    """The ticket in a line; raises ConfigError (exit code 7) for anything that is none."""
    line = "".join(text[: 2 * MAX_CHARACTERS].split())
    letters = line[len(PREFIX) :].upper()
    if not line.lower().startswith(PREFIX) or len(line) > MAX_CHARACTERS or not _LETTERS.fullmatch(letters):
        raise _bad("this is not a ticket")
    body, check = letters[:-CHECK_CHARACTERS], letters[-CHECK_CHARACTERS:]
    try:
        packed = b32decode(body + "=" * (-len(body) % 8))
    except ValueError as error:
        raise _bad("the ticket is incomplete") from error
    if _check(packed) != check:
        raise _bad("the ticket is mistyped or incomplete: its check characters do not match")
    return _ticket(_unpacked(packed))


def _unpacked(packed: bytes) -> dict[str, object]:
    try:
        value = msgpack.unpackb(
            packed,
            raw=False,
            strict_map_key=True,
            max_array_len=MAX_PLAN,
            max_map_len=MAX_PLAN,
            max_str_len=MAX_CHARACTERS,
            max_bin_len=MAX_CHARACTERS,
            max_ext_len=0,
        )
    except ValueError as error:
        raise _bad("the ticket cannot be read") from error
    if not isinstance(value, dict):
        raise _bad("the ticket cannot be read")
    return value


def _ticket(values: Mapping[str, object]) -> Ticket:
    network, key, addresses = values.get("n"), values.get("k"), values.get("a")
    secret, plan = values.get("s"), values.get("p", {})
    if not isinstance(network, str) or not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise _bad("the ticket names no network or no node")
    network_id(network, where="the ticket")
    if not is_allowed_key(key):
        raise _bad("the ticket names a weak key, under which anybody can sign")
    if not isinstance(addresses, list) or len(addresses) > MAX_ADDRESSES:
        raise _bad("the ticket has no list of addresses")
    if secret is not None and not (isinstance(secret, bytes) and len(secret) == NETWORK_KEY_BYTES):
        raise _bad("the network key in the ticket has another length")
    return Ticket(
        network, format_id(key), tuple(_plain(one, MAX_ADDRESS) for one in addresses), secret, _plan(plan)
    )


def _plan(plan: object) -> dict[str, PlanValue]:
    if not isinstance(plan, dict):
        raise _bad("the plan in the ticket cannot be read")
    found: dict[str, PlanValue] = {}
    for key, value in plan.items():
        if not isinstance(value, bool | int | float | str):
            raise _bad("the plan in the ticket holds more than plain values")
        found[_plain(key, MAX_ADDRESS)] = _plain(value, MAX_ADDRESS) if isinstance(value, str) else value
    return found


def _plain(text: object, limit: int) -> str:
    """Printable ASCII only: it is shown on a terminal and written into a file."""
    if not isinstance(text, str) or len(text) > limit or not (text.isascii() and text.isprintable()):
        raise _bad("the ticket holds a text that is none")
    return text


def _check(packed: bytes) -> str:
    return b32encode(sha256(_CHECK_TAG + packed).digest()).decode()[:CHECK_CHARACTERS]


def _bad(what: str) -> ConfigError:
    fix = "copy the whole line that p2pnode invite prints on the other machine"
    return ConfigError(what, where="ticket", fix=fix, exit_code=BAD_TICKET)
