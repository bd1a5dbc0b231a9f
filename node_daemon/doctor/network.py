"""Can others reach this node, and can it find them?"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from node_daemon.assembly import listen_host
from node_daemon.doctor.finding import Case, Finding, fail, ok, warn
from node_daemon.trust_file import read_trust
from p2pfl import registry
from p2pfl.discovery.discovery import Announcement, Discovery, Hint
from p2pfl.discovery.interfaces import LOOPBACK, is_loopback, local_interfaces
from p2pfl.errors import TransportError
from p2pfl.identity.keys import generate
from p2pfl.transports.addresses import port_holder

HEARD_S = 3.0
MAX_INTERFACES = 8
MDNS_PORT = 5353


def port(case: Case, *, holder: Callable[[int], str] = port_holder) -> Sequence[Finding]:
    """The port is free, or held by our own daemon."""
    number, name = case.settings.network.port, f"port-{case.settings.network.port}"
    if case.pid is not None:
        return ok(name, f"held by our own daemon, pid {case.pid}, at {(case.status or {}).get('address')}")
    if number == 0:
        return ok(name, "any free port is taken")
    host = listen_host(case.settings, read_trust(case.paths.trust).mode)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, number), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            who = holder(number) or "another user's process"
            return fail(name, f"in use by {who}", "stop it, or set network.port")
        words = os.strerror(error.errno).lower() if error.errno else str(error)
        return fail(name, f"cannot listen on {host}: {words}", "set network.port or network.host")
    return ok(name, f"free on {host}")


def firewall(case: Case, *, root: Path = Path("/")) -> Sequence[Finding]:
    """Which firewall is switched on; its rules are for root to see, so that here is only what would help."""
    active = _active(root)
    if active is None:
        return ok("firewall", "neither ufw nor firewalld is switched on")
    return ok(
        "firewall", f"{active} is switched on", f"if others cannot reach this node: {_rules(case, active)}"
    )


def mdns(
    case: Case, *, root: Path = Path("/"), hears: Callable[[str], bool] | None = None
) -> Sequence[Finding]:
    """On every interface: announce something and listen for it."""
    if not case.settings.network.mdns:
        return ok("mdns", "off; peers are found by network.static alone")
    host = listen_host(case.settings, read_trust(case.paths.trust).mode)
    interfaces = _interfaces(is_local_only=is_loopback(host))
    if not interfaces:
        return warn("mdns", "there is no network interface but the loopback", "connect to a network")
    heard = dict(zip(interfaces, _listen(interfaces, hears), strict=True))
    deaf = [address for address, has_heard in heard.items() if not has_heard]
    if not deaf:
        return ok("mdns", f"heard ourselves on {', '.join(interfaces)}")
    rule = _rules(case, _active(root) or "the firewall")
    return warn(
        "mdns",
        f"our own announcement was not heard in {HEARD_S:g} s on {', '.join(deaf)}; "
        f"a firewall may block UDP {MDNS_PORT}",
        f"allow it ({rule}), or list peers under [network] static",
    )


def _listen(interfaces: Sequence[str], hears: Callable[[str], bool] | None) -> list[bool]:
    if hears is not None:
        return [hears(address) for address in interfaces]

    async def everywhere() -> list[bool]:
        return list(await asyncio.gather(*map(_hears, interfaces)))

    return asyncio.run(everywhere())


async def _hears(interface: str) -> bool:
    """Two nodes that exist for this alone, in a network of their own: does one hear of the other?"""
    make = cast(Callable[..., Discovery], registry.resolve("discovery", "mdns"))
    network, has_heard = os.urandom(32), asyncio.Event()

    def found(_hint: Hint) -> None:
        has_heard.set()

    speaker, listener = make(interfaces=[interface]), make(interfaces=[interface])
    started: list[Discovery] = []
    try:
        for one, number in ((listener, 1), (speaker, 2)):
            announced = Announcement(generate().id, network, interface, number)
            await one.start(announced, found if one is listener else lambda _hint: None)
            started.append(one)
        await asyncio.wait_for(has_heard.wait(), HEARD_S)
    except (TransportError, TimeoutError):
        return False
    finally:
        for one in started:
            await one.close()
    return True


def _interfaces(*, is_local_only: bool) -> list[str]:
    """The addresses of the interfaces to try."""
    if is_local_only:
        return [LOOPBACK]
    found = [str(one.ip) for one in local_interfaces() if one.version == 4 and not one.ip.is_loopback]
    return found[:MAX_INTERFACES]


def _active(root: Path) -> str | None:
    """The firewall that is switched on, as far as anybody may see."""
    try:
        if "ENABLED=yes" in (root / "etc/ufw/ufw.conf").read_text("utf-8", "replace"):
            return "ufw"
    except OSError:
        pass  # not there, or not for us to read
    return "firewalld" if (root / "run/firewalld").is_dir() else None


def _rules(case: Case, active: str) -> str:
    """The commands that let this node through."""
    number = case.settings.network.port
    match active:
        case "ufw":
            return f"sudo ufw allow {number}/tcp; sudo ufw allow {MDNS_PORT}/udp"
        case "firewalld":
            return f"sudo firewall-cmd --add-port={number}/tcp --add-service=mdns, again with --permanent"
        case _:
            return f"TCP {number} and UDP {MDNS_PORT} inwards"
