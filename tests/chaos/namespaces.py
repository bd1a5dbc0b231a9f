"""A small network of network namespaces: a switch, cables, and computers that only the cables connect.

Everything lives in namespaces of its own, the switch too, so that the machine's own network is not touched.
Names begin with ``PREFIX`` and the pid of whoever made them: what a run that was killed has left behind is
removed by the next one.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

import psutil

PREFIX = "p2pchaos"
COMMAND_TIMEOUT_S = 20.0
NEEDED = ("ip", "tc", "setpriv")
SUBNET = "10.77.0"
CABLE = "eth0"  # at the computer's end
BURST_BYTES = 16_000
QUEUE_MS = 400


def why_not() -> str:
    """Why there can be no namespaces here; "" when there can."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "network namespaces need root"
    trial = f"{PREFIX}-{os.getpid()}-trial"
    made = subprocess.run(["ip", "netns", "add", trial], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    _remove(trial)
    return ""


def why_no_filter() -> str:
    """Why packets cannot be filtered here; "" when they can."""
    if shutil.which("nft") is None:
        return "not installed: nft (nftables)"
    with Wires(1) as wires:
        try:
            wires.run(0, "nft", "add table inet trial")
        except subprocess.CalledProcessError as error:
            return f"nft does not work here: {error.stderr.strip()}"
    return ""


def remove_stale() -> list[str]:
    """Remove what dead runs have left, with the processes in it; the names."""
    stale = [name for name in _namespaces() if not psutil.pid_exists(int(name.split("-")[1]))]
    for name in stale:
        _remove(name)
    return stale


class Wires:
    """So many computers at one switch; a context manager that removes all of it, processes included."""

    def __init__(self, computers: int) -> None:
        taken = set(_namespaces())
        stems = (f"{PREFIX}-{os.getpid()}-{number}" for number in count())
        self._stem = next(stem for stem in stems if f"{stem}-switch" not in taken)
        self._switch = f"{self._stem}-switch"
        self.computers = computers

    def __enter__(self) -> Self:
        remove_stale()
        try:
            self._make()
        except subprocess.SubprocessError:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def address(self, computer: int) -> str:
        """Its IPv4 address."""
        return f"{SUBNET}.{computer + 1}"

    def run(self, computer: int, *words: str) -> str:
        """Run a command on a computer to its end; what it has printed."""
        return _run("ip", "netns", "exec", self._name(computer), *words)

    def command(self, computer: int, *words: str) -> list[str]:
        """The command that runs another one there; it ends with whoever starts it."""
        return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self._name(computer), *words]

    def pull(self, computer: int) -> None:
        """Pull a cable at the switch."""
        _run("ip", "-n", self._switch, "link", "set", _port(computer), "down")

    def plug(self, computer: int) -> None:
        """Plug it in again."""
        _run("ip", "-n", self._switch, "link", "set", _port(computer), "up")

    def part(self, computers: Sequence[int]) -> None:
        """Put these at a switch of their own."""
        for computer in computers:
            self._connect(computer, "other")

    def join(self) -> None:
        """All at one switch again."""
        for computer in range(self.computers):
            self._connect(computer, "main")

    def throttle(self, computer: int, rate: str) -> None:
        """Limit what a computer can send, as in ``1mbit``."""
        shape = f"root tbf rate {rate} burst {BURST_BYTES} latency {QUEUE_MS}ms"
        _run("tc", "-n", self._name(computer), "qdisc", "replace", "dev", CABLE, *shape.split())

    def unthrottle(self, computer: int) -> None:
        """As fast as it can again."""
        _run("tc", "-n", self._name(computer), "qdisc", "del", "dev", CABLE, "root")

    def sent_bytes(self, computer: int) -> int:
        """All that a computer has sent so far."""
        return int(self.run(computer, "cat", f"/sys/class/net/{CABLE}/statistics/tx_bytes"))

    def deafen(self, computer: int, to: int) -> None:
        """A computer hears no packet of another one; the other way nothing is dropped."""
        rules = (
            "add table inet chaos",
            "add chain inet chaos heard { type filter hook input priority 0; }",
            f"add rule inet chaos heard ip saddr {self.address(to)} drop",
        )
        for rule in rules:
            self.run(computer, "nft", rule)

    def undeafen(self, computer: int) -> None:
        """It hears everybody again."""
        self.run(computer, "nft", "delete table inet chaos")

    def close(self) -> None:
        """Kill what runs on the computers, and remove everything."""
        for name in _namespaces():
            if name.startswith(f"{self._stem}-"):
                _remove(name)

    def _make(self) -> None:
        _run("ip", "netns", "add", self._switch)
        for bridge in ("main", "other"):
            options = "type bridge forward_delay 0 mcast_snooping 0"
            _run("ip", "-n", self._switch, "link", "add", bridge, *options.split())
            _run("ip", "-n", self._switch, "link", "set", bridge, "up")
        for computer in range(self.computers):
            self._add(computer)

    def _add(self, computer: int) -> None:
        name, port = self._name(computer), _port(computer)
        _run("ip", "netns", "add", name)
        ends = f"link add {port} type veth peer name {CABLE} netns {name}"
        _run("ip", "-n", self._switch, *ends.split())
        _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", name, "addr", "add", f"{self.address(computer)}/24", "dev", CABLE)
        _run("ip", "-n", name, "link", "set", CABLE, "up")
        self._connect(computer, "main")
        self.plug(computer)

    def _connect(self, computer: int, bridge: str) -> None:
        _run("ip", "-n", self._switch, "link", "set", _port(computer), "master", bridge)

    def _name(self, computer: int) -> str:
        return f"{self._stem}-{computer}"


def _port(computer: int) -> str:
    return f"port{computer}"


def _namespaces() -> list[str]:
    """Those that any run of this module has made."""
    lines = _run("ip", "netns", "list").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    return [name for name in names if name.startswith(f"{PREFIX}-") and name.split("-")[1].isdigit()]


def _remove(name: str) -> None:
    """A namespace with the processes in it; nothing is raised, since this is how everything ends."""
    found = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
    for pid in found.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _run(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    ).stdout
