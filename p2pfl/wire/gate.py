"""The gate before a listening address: who may begin a handshake, how often, and who gives way.

It stands before TLS, since a connection that is still shaking hands costs memory by the hundred kilobytes.
Connections are counted per host (an IPv6 network of 64 bits is one).  Newcomers are let in and the oldest
stranger gives way, because an honest peer is through in milliseconds.  A host whose handshakes fail in ways
that no honest program causes is locked out for a while; whoever has a wrong setting, and is told so, is not.
This machine itself has limits that are ``loopback_times`` as wide and is never locked out, since many nodes
may run on it.

Sans-IO: addresses are ``tcp://host:port`` of the other end, which no two open connections share.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import inf

from p2pfl.errors import RemoteError
from p2pfl.wire.limits import Limits
from p2pfl.wire.rates import TokenBucket

# What no honest program does, however wrongly it is configured.
FAILURES = frozenset(
    {
        "malformed",
        "unexpected_frame",
        "too_big",
        "bad_signature",
        "weak_key",
        "no_tls",
        "handshake_timeout",
    }
)


@dataclass(frozen=True, slots=True)
class Host:
    """Where a connection comes from, as far as it is counted."""

    name: str
    is_loopback: bool


@dataclass(slots=True)
class _Record:
    """What is remembered of a host."""

    bucket: TokenBucket
    lockout_s: float  # how long the next one will be
    seen_s: float
    failures: int = 0
    locked_until_s: float = -inf


def host_of(address: str) -> Host:
    """The host of ``tcp://host:port``: an IPv4 address, or the 64-bit network of an IPv6 address."""
    text = address.rpartition("://")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return Host(text, is_loopback=False)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return Host(str(found.ipv4_mapped), found.ipv4_mapped.is_loopback)
        if not found.is_loopback:
            return Host(f"{IPv6Address(int(found) >> 64 << 64)}/64", is_loopback=False)
    return Host(str(found), found.is_loopback)


class Gate:
    """Counts the connections to one listening address that have not greeted yet."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits  # others may be put in force at any time
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._strangers: dict[str, Host] = {}  # by address, the oldest first
        self._failed: set[str] = set()  # of the strangers

    @property
    def strangers(self) -> int:
        """Connections that have not greeted yet."""
        return len(self._strangers)

    def knock(self, address: str, now_s: float) -> str:
        """Let a connection begin; the address of the stranger that gives way to it, "" for none.

        Raises RemoteError with code ``locked_out`` or ``too_fast`` for one that is to be closed at once.
        """
        host = host_of(address)
        record = self._record(host, now_s)
        if now_s < record.locked_until_s:
            raise RemoteError(f"the handshakes of {host.name} failed too often", code="locked_out")
        if not record.bucket.take(now_s):
            raise RemoteError(f"{host.name} connects too often", code="too_fast")
        crowded = self._gives_way(host)
        self.left(crowded)
        self._strangers[address] = host
        return crowded

    def failed(self, address: str, code: str, now_s: float) -> None:
        """The handshake of a stranger has failed; each counts once."""
        host = self._strangers.get(address)
        if host is None or host.is_loopback or address in self._failed or code not in FAILURES:
            return
        self._failed.add(address)
        record = self._record(host, now_s)
        record.failures += 1
        if record.failures >= self.limits.failed_handshakes:
            record.failures = 0
            record.locked_until_s = now_s + record.lockout_s
            record.lockout_s = min(2 * record.lockout_s, self.limits.lockout_max_s)

    def greeted(self, address: str) -> None:
        """A stranger is none any more; its host is forgiven."""
        host = self._strangers.get(address)
        record = None if host is None else self._records.get(host.name)
        if record is not None:
            record.failures = 0
            record.lockout_s = self.limits.lockout_s
        self.left(address)

    def left(self, address: str) -> None:
        """A connection has ended, or has greeted."""
        self._strangers.pop(address, None)
        self._failed.discard(address)

    def _gives_way(self, host: Host) -> str:
        """The oldest stranger of this host if it has too many, else the oldest of all if they are."""
        times = self._times(host)
        of_host = [address for address, other in self._strangers.items() if other == host]
        if len(of_host) >= self.limits.address_greeting_links * times:
            return of_host[0]
        alike = [
            address for address, other in self._strangers.items() if other.is_loopback == host.is_loopback
        ]
        return alike[0] if len(alike) >= self.limits.greeting_links * times else ""

    def _record(self, host: Host, now_s: float) -> _Record:
        """What is known of a host, which is now the one seen last; nothing after a quiet hour."""
        record = self._records.pop(host.name, None)
        if record is None or now_s - record.seen_s > self.limits.lockout_max_s:
            times = self._times(host)
            limits = self.limits
            bucket = TokenBucket(limits.address_links_per_s * times, limits.address_links_burst * times)
            record = _Record(bucket, limits.lockout_s, now_s)
        record.seen_s = now_s
        self._records[host.name] = record
        if len(self._records) > self.limits.known_addresses:
            self._records.popitem(last=False)
        return record

    def _times(self, host: Host) -> int:
        return self.limits.loopback_times if host.is_loopback else 1
