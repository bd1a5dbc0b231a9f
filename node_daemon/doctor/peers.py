"""Every peer that is written down or was met before: can there be a link, and does it take our models?

A running daemon is asked for what it sees, since a second link under its id would disturb it.  Without one
each address is looked at with the node's own identity (``p2pfl.transports.probe``).
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from node_daemon.assembly import make_admission
from node_daemon.control_client import Json
from node_daemon.doctor.finding import Case, Finding, Grade, NotExaminedError, ok, warn
from node_daemon.doctor.remedies import remedy_for
from node_daemon.files import read_checked
from node_daemon.journal import read_journal
from node_daemon.plan import plan_of
from node_daemon.trust_file import read_trust
from p2pfl.discovery.addresses import parse_address
from p2pfl.discovery.interfaces import LOOPBACK, local_interfaces
from p2pfl.errors import RemoteError, TransportError
from p2pfl.identity.certificate import certificate_pem
from p2pfl.identity.handshake import Credentials
from p2pfl.identity.keys import Identity, from_pem, network_id, short_id
from p2pfl.transports.addresses import parse_address as host_and_port
from p2pfl.transports.probe import Probed, connect, probe
from p2pfl.transports.tls import make_security
from p2pfl.version import __version__
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION, Greeting

MAX_KNOWN = 32  # peers met before that are looked at; the last ones
AT_ONCE = 16
IS_IT_ON = "is it on, is the address right, is it on our lists?"


@dataclass(frozen=True, slots=True)
class Target:
    """An address, and the id that is meant to answer there, "" for any on our lists."""

    address: str
    peer: str = ""
    name: str = ""


Look: TypeAlias = Callable[[Target], Probed | None]  # None: there is somebody, and no way to tell who


def peers(case: Case, *, look: Look | None = None) -> Sequence[Finding]:
    """One finding per peer."""
    targets = _targets(case)
    if case.status is not None:
        return _as_seen(case, case.ask("peers"), targets)
    if not targets:
        return _nobody(case)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as threads:
        way = look or _way(case, Path(folder))
        return list(threads.map(partial(_examined, case, way), targets))


def _nobody(case: Case) -> Sequence[Finding]:
    if case.settings.network.mdns:
        return ok("peers", "none is written down or was met before; mDNS looks for them")
    return warn("peers", "none is known, and mDNS is off", "network.static, or p2pnode join TICKET")


def _targets(case: Case) -> list[Target]:
    """The static addresses but our own, then where peers were met."""
    network = case.settings.network
    static = [parse_address(text, where="network.static") for text in network.static]
    mine = {LOOPBACK, "localhost", "::1", *(str(one.ip) for one in local_interfaces())}
    others = [
        one for one in static if (place := host_and_port(one))[1] != network.port or place[0] not in mine
    ]
    met: dict[str, Target] = {}
    for record in read_journal(case.paths.state):
        peer, address = record.get("peer"), record.get("address")
        if (
            record.get("event") == "peer.up"
            and isinstance(peer, str)
            and isinstance(address, str)
            and address
        ):
            met.pop(peer, None)
            met[peer] = Target(address, peer, str(record.get("name", "")))
    known = [target for target in list(met.values())[-MAX_KNOWN:] if target.address not in others]
    return [*(Target(address) for address in dict.fromkeys(others)), *known]


def _way(case: Case, folder: Path) -> Look:
    """How to look: with our identity, or, in mode open, whether anybody is there at all."""
    limits, trust = case.settings.limits, read_trust(case.paths.trust)
    if trust.mode == "open":
        return lambda target: _is_there(target, case)
    identity = _identity(case)
    network = network_id(case.settings.network.name)
    certificate = folder / "tls-cert.pem"
    certificate.write_bytes(certificate_pem(identity))
    credentials = Credentials(identity, network, (MAJOR_VERSION, MINOR_VERSION))
    admission = make_admission(trust, case.paths)
    security = make_security(credentials, admission, certificate=certificate, key=case.paths.identity)
    plan = plan_of(case.settings)
    ours = Greeting(identity.id, "", network, 0, bytes(8), plan.hash, plan.words, version=__version__)
    return lambda target: probe(target.address, security, ours, peer=target.peer, limits=limits)


def _identity(case: Case) -> Identity:
    try:
        return from_pem(read_checked(case.paths.identity, is_secret=True), where=str(case.paths.identity))
    except FileNotFoundError as error:
        raise NotExaminedError("not looked at: there is no identity yet", fix="p2pnode init") from error


def _is_there(target: Target, case: Case) -> None:
    connection, _ = connect(target.address, case.settings.limits)
    connection.close()


def _examined(case: Case, look: Look, target: Target) -> Finding:
    name = f"peer-{target.name or target.address.removeprefix('tcp://')}"
    try:
        found = look(target)
    except TransportError as error:
        remedy = "is it on, is the address right, does its firewall let the port through?"
        return Finding(name, Grade.WARN, error.what, remedy)
    except RemoteError as error:
        return Finding(name, Grade.FAIL, f"{error.code}: {error.what}", remedy_for(error.code, case))
    if found is None:
        return Finding(name, Grade.OK, "it answers; mode open: not asked who it is")
    theirs = found.greeting
    words = (
        f"{theirs.name} ({short_id(theirs.id)}), {1000 * found.connect_s:.0f} ms, version {theirs.version}"
    )
    return _trusted(name, words, accepts=theirs.accepts_you, shares=theirs.shares_with_you)


def _trusted(name: str, words: str, *, accepts: bool, shares: bool) -> Finding:
    """A peer with which there can be a link, and whether anything flows over it."""
    said = f"{words}, {'accepts us' if accepts else 'does not accept us'}, "
    said += "shares with us" if shares else "does not share with us"
    if accepts or shares:
        return Finding(name, Grade.OK, said)
    return Finding(name, Grade.WARN, said, "there: p2pnode trust add with the id that p2pnode id prints here")


def _as_seen(case: Case, found: Mapping[str, Json], targets: Sequence[Target]) -> Sequence[Finding]:
    """What the running daemon says of its peers, and of addresses behind which nobody was found."""
    listed, noted = found.get("peers"), found.get("problems")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    problems = noted if isinstance(noted, dict) else {}
    findings = [_row(row, problems) for row in rows]
    answered = {row.get("address") for row in rows}
    for target in targets:
        if target.address not in answered and not target.peer:
            why = str(problems.get(target.address) or "no link yet")
            is_refused = why.startswith("peer.refused")
            remedy = "p2pnode trust list and p2pnode doctor, there too" if is_refused else IS_IT_ON
            name = f"peer-{target.address.removeprefix('tcp://')}"
            findings.append(Finding(name, Grade.WARN, why, remedy))
    return findings or _nobody(case)


def _row(row: Mapping[str, Json], problems: Mapping[str, Json]) -> Finding:
    peer = str(row.get("id"))
    name = f"peer-{row.get('name') or short_id(peer)}"
    if row.get("state") == "up":
        words = f"up ({short_id(peer)}), version {row.get('version')}"
        accepts, shares = bool(row.get("accepts_us")), bool(row.get("shares_with_us"))
        return _trusted(name, words, accepts=accepts, shares=shares)
    why = problems.get(peer) or "no problem was reported"
    return Finding(
        name, Grade.WARN, f"{row.get('state')}: {why}", "is it on? p2pnode logs shows the attempts"
    )
