"""Addresses of TCP transports, ``tcp://host:port``, and ports that somebody else holds."""

import os
from collections.abc import Iterator
from pathlib import Path

from p2pfl.errors import TransportError

SCHEME = "tcp://"
EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104  # a peer's words, nothing is bound here
_LISTENING = "0A"  # the state of a socket in /proc/net/tcp
_COMMAND_LETTERS = 60


def format_address(host: str, port: int) -> str:
    """The address to dial; IPv6 in brackets."""
    return f"{SCHEME}[{host}]:{port}" if ":" in host else f"{SCHEME}{host}:{port}"


def parse_address(address: str) -> tuple[str, int]:
    """The host and port of an address; raises TransportError, since addresses come from hints too."""
    host, _, port = address.removeprefix(SCHEME).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 2**16
    if not address.startswith(SCHEME) or not host or not is_port:
        raise TransportError(f"{address!r} is no address; one looks like {SCHEME}192.168.1.7:7964")
    return host, int(port)


def as_dialled(announced: str, seen: str) -> str:
    """The address under which a peer that announces ``announced`` can be dialled from here.

    A peer that listens on all interfaces does not know how others see it: its host is then the one that
    its connection comes from, ``seen``.  "" when it announced no address of this scheme.
    """
    try:
        host, port = parse_address(announced)
        if host not in EVERY_INTERFACE:
            return announced
        return format_address(parse_address(seen)[0], port)
    except TransportError:
        return ""


def port_holder(port: int) -> str:
    """Who listens on a local TCP port, for people: ``pid 4121 (p2pnode start)``; "" where that is hidden."""
    sockets = set(_listening_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & set(_open_sockets(process)):
            return f"pid {process.name} ({_command(process)})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on a port, as text."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:  # not Linux, or hidden from us
            continue
        for columns in map(str.split, lines):
            local, state, inode = columns[1], columns[3], columns[9]
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                yield f"socket:[{inode}]"


def _open_sockets(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            yield os.readlink(descriptor)
    except OSError:  # another user's process, or one that has just ended
        return


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return "unknown"
    words[0] = words[0].rpartition("/")[2]
    return " ".join(words)[:_COMMAND_LETTERS]
