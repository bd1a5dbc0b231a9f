"""What a node publishes of itself on the local network, and what is believed of others: pure.

A TXT record names the node's id, its protocol version and the first 8 bytes of its network's id.  Nothing in
it is trusted: a record that is malformed, of another network or another major version is counted and ignored,
and what remains is a hint where to dial.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from p2pfl.discovery.addresses import format_address
from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.errors import ConfigError, RemoteError
from p2pfl.identity.keys import format_id, parse_id
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION

MAX_TXT_BYTES = 400
MAX_FOUND_PEERS = 256
MAX_PEER_ADDRESSES = 4
NETWORK_PREFIX_BYTES = 8
SOURCE = "mdns"

_VERSION = re.compile(r"(\d{1,5})\.(\d{1,5})", re.ASCII)
_NETWORK = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Record:
    """What a TXT record claims."""

    id: str
    major: int
    network_prefix: bytes


def encode_txt(announcement: Announcement) -> bytes:
    """The TXT record of a node."""
    values = {
        "id": announcement.id,
        "v": f"{MAJOR_VERSION}.{MINOR_VERSION}",
        "net": announcement.network[:NETWORK_PREFIX_BYTES].hex(),
    }
    entries = [f"{key}={value}".encode("ascii") for key, value in values.items()]
    return b"".join(bytes([len(entry)]) + entry for entry in entries)


def parse_txt(text: bytes) -> Record:
    """Read a TXT record from anybody; raises RemoteError for whatever is not exactly ours."""
    entries = _entries(text)
    version = _VERSION.fullmatch(entries.get("v", ""))
    network = _NETWORK.fullmatch(entries.get("net", ""))
    if version is None or network is None:
        raise RemoteError("the record names no version or no network")
    try:
        node = format_id(parse_id(entries.get("id", "")))
    except ConfigError as error:
        raise RemoteError(f"the record names no id: {error.what}") from error
    return Record(node, int(version[1]), bytes.fromhex(network[0]))


class Finds:
    """The table of what is known from the local network: service instance → the hints it gave."""

    def __init__(self, announcement: Announcement) -> None:
        self._announcement = announcement
        self._hints: dict[str, tuple[Hint, ...]] = {}
        self._ignored: Counter[str] = Counter()

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many records were ignored, by reason."""
        return self._ignored

    def see(self, instance: str, text: bytes, addresses: Sequence[str], *, port: int) -> list[Hint]:
        """Take up an instance's record; returns the hints that are new, then those that are gone."""
        return self._replace(instance, self._judge(instance, text, addresses, port=port))

    def lose(self, instance: str) -> list[Hint]:
        """Forget an instance that has said good-bye or expired; returns its hints as gone."""
        return self._replace(instance, ())

    def count(self, reason: str) -> None:
        """Count what was ignored before it was a record."""
        self._ignored[reason] += 1

    def _judge(self, instance: str, text: bytes, addresses: Sequence[str], *, port: int) -> tuple[Hint, ...]:
        try:
            record = parse_txt(text)
        except RemoteError:
            self.count("malformed")
            return ()
        if record.id == self._announcement.id:
            return ()
        reason = self._reason_against(instance, record)
        if not reason and not (addresses and 0 < port < 2**16):
            reason = "no_address"
        if reason:
            self.count(reason)
            return ()
        usable = dict.fromkeys(format_address(host, port) for host in addresses[:MAX_PEER_ADDRESSES])
        return tuple(Hint(address, record.id, SOURCE) for address in usable)

    def _reason_against(self, instance: str, record: Record) -> str:
        if record.network_prefix != self._announcement.network[:NETWORK_PREFIX_BYTES]:
            return "other_network"
        if record.major != MAJOR_VERSION:
            return "other_version"
        if instance not in self._hints and len(self._hints) >= MAX_FOUND_PEERS:
            return "too_many"
        return ""

    def _replace(self, instance: str, hints: tuple[Hint, ...]) -> list[Hint]:
        before = self._hints.pop(instance, ())
        if hints:
            self._hints[instance] = hints
        still_known = {hint for known in self._hints.values() for hint in known}
        new = [hint for hint in hints if hint not in before]
        gone = [hint for hint in before if hint not in still_known]
        return new + [Hint(hint.address, hint.id, SOURCE, gone=True) for hint in gone]


def _entries(text: bytes) -> dict[str, str]:
    """The ``key=value`` strings of a TXT record, each behind its length; others are skipped."""
    if len(text) > MAX_TXT_BYTES:
        raise RemoteError(f"a record of {len(text)} bytes")
    entries: dict[str, str] = {}
    place = 0
    while place < len(text):
        end = place + 1 + text[place]
        if end > len(text):
            raise RemoteError("a record that is cut short")
        key, separator, value = text[place + 1 : end].decode("ascii", "replace").partition("=")
        if separator and key in entries:
            raise RemoteError(f"a record that names {key[:16]!r} twice")
        if separator:
            entries[key] = value
        place = end
    return entries
