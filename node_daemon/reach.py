"""``ping`` inside the daemon: which peer is meant, how its link does, and why there is none."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from node_daemon.control_client import Json
from node_daemon.trust_file import TrustFile
from p2pfl.discovery.addresses import parse_address
from p2pfl.discovery.interfaces import is_loopback, local_interfaces
from p2pfl.errors import ConfigError, P2PError, TransportError, unknown_name
from p2pfl.identity.keys import SHORT_ID_CHARACTERS, format_id, parse_id, short_id
from p2pfl.peer.pings import Echoes
from p2pfl.peer.status import PeerRow

UNREACHABLE = 8  # exit code
USAGE = 2  # exit code


def which(text: str, rows: Sequence[PeerRow], *, trust: TrustFile, me: str) -> str:
    """The id behind a petname, a full id, a peer's own name or the short id of the table of peers.

    Raises ConfigError (exit code 2) for one that is unknown, ambiguous, or this node itself.
    """
    listed = trust.accept_from | (trust.share_with or frozenset()) | trust.observers
    known = {me, *(row.id for row in rows), *listed, *trust.names.values()}
    found = _meant(text, rows, names=trust.names, known=known)
    if len(found) > 1:
        raise ConfigError(
            f"{text!r} may mean {len(found)} peers",
            facts=sorted(found),
            fix="give the full id",
            exit_code=USAGE,
        )
    if not found:
        words = {*trust.names, *(row.name for row in rows if row.name), *(short_id(row.id) for row in rows)}
        error = unknown_name("peer", text, words)
        error.exit_code = USAGE
        error.fix = error.fix or "p2pnode peers lists them"
        raise error
    if me in found:
        raise ConfigError(f"{text!r} is this node itself", fix="name another", exit_code=USAGE)
    return found.pop()


def _meant(text: str, rows: Sequence[PeerRow], *, names: Mapping[str, str], known: set[str]) -> set[str]:
    if text in names:
        return {names[text]}
    try:
        full = format_id(parse_id(text))
    except ConfigError:
        short = text.upper()
        is_short = len(short.replace("-", "")) >= SHORT_ID_CHARACTERS
        return {row.id for row in rows if row.name == text} or {
            peer for peer in known if is_short and peer.startswith(short)
        }
    return {full} & known


def no_link(row: PeerRow | None, peer: str, problem: str) -> P2PError:
    """The error for a peer without a link, with what is known of why."""
    if row is None:
        facts = ["it has not been met since this node started"]
    else:
        facts = [f"it is thought {row.state}", f"its address is {row.address or 'not known'}"]
    return P2PError(
        f"there is no link to {_named(row, peer)}",
        facts=[*facts, f"last problem: {problem or 'none was reported'}"],
        fix="p2pnode doctor looks at every known address",
        exit_code=UNREACHABLE,
    )


def no_answer(row: PeerRow | None, peer: str, error: TransportError) -> P2PError:
    """The error for a peer that is linked and silent."""
    return P2PError(f"{_named(row, peer)}: {error.what}", fix="p2pnode peers", exit_code=UNREACHABLE)


def facts_of(row: PeerRow, echoes: Echoes, static: Sequence[str]) -> dict[str, Json]:
    """What a ping has shown, for the control socket."""
    times_s = echoes.round_trips_s
    return {
        "id": row.id,
        "name": row.name,
        "address": row.address,
        "path": path_of(row.address, static),
        "answers": len(times_s),
        "round_trip_min_s": min(times_s),
        "round_trip_median_s": statistics.median(times_s),
        "round_trip_max_s": max(times_s),
        "echoed_bytes": echoes.echoed_bytes,
        "throughput_bytes_per_s": echoes.bytes_per_s,
        "accepted": row.accepted,
        "shared_with": row.shared_with,
        "accepts_us": row.accepts_us,
        "shares_with_us": row.shares_with_us,
        "version": row.version,
    }


def path_of(address: str, static: Sequence[str]) -> str:
    """How a peer is reached: ``loopback``, ``static``, ``lan``, or ``routed`` through other networks."""
    return paths_of([address], static)[address]


def paths_of(addresses: Sequence[str], static: Sequence[str]) -> Mapping[str, str]:
    """The same for many peers, who are looked up among this machine's networks at once."""
    named = {parse_address(text) for text in static}
    try:
        networks = [one.network for one in local_interfaces()]
    except TransportError:
        networks = []
    return {address: _path_of(address, named, networks) for address in addresses}


def _path_of(address: str, static: Collection[str], networks: Sequence[IPv4Network | IPv6Network]) -> str:
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if is_loopback(host):
        return "loopback"
    if address in static:
        return "static"
    try:
        return "lan" if any(ip_address(host) in network for network in networks) else "routed"
    except ValueError:
        return "routed"


def _named(row: PeerRow | None, peer: str) -> str:
    return f"{row.name} ({short_id(peer)})" if row is not None and row.name else short_id(peer)
