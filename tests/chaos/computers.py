"""A real daemon on each computer of a small network; they find each other by multicast DNS, and speak TLS."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from node_daemon.control_client import Json, request
from node_daemon.paths import home_paths
from p2pfl.errors import P2PError
from simulations.daemons import Daemon
from simulations.environment import environment
from tests.awaiting import until
from tests.chaos.namespaces import Wires

START_S = 45.0
STOP_S = 15.0
ROUND_TIMEOUT_S = 2.0
CONFIG = """
[node]
name = "node-{number}"
number = {number}
[network]
name = "chaos"
mdns = true
min_peers = {count}
[topology]
name = "{topology}"
[protocol]
rounds = 0
round_timeout_s = {round_timeout_s}
[task]
name = "digits_softmax"
[data]
part = {number}
parts = {count}
[limits]
transfer_window_s = 3.0
transfer_window_bytes = 200000
"""
TRUST = 'version = 1\nmode = "ticket"\n'


class Computers:
    """Daemons that run until the end of the context, on wires of their own."""

    def __init__(self, folder: Path, count: int, *, topology: str = "full_mesh") -> None:
        self.wires = Wires(count)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        key = os.urandom(32)
        self.daemons = [
            Daemon(number, _home(folder, number, count=count, topology=topology, key=key))
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        self.wires.__enter__()
        try:
            for daemon in self.daemons:
                self.start(daemon.number)
            self.rounds(2, deadline_s=START_S)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, number: int) -> None:
        """Start a daemon, or start it again."""
        home = self.daemons[number].home
        words = [sys.executable, "-P", "-m", "node_daemon", "start", "--home", str(home)]
        surroundings = {k: v for k, v in environment().items() if not k.startswith("P2PNODE_")}
        with (home / "output.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                self.wires.command(number, *words), stdin=subprocess.DEVNULL, stderr=log, env=surroundings
            )

    def kill(self, number: int) -> None:
        """End a daemon at once, as a crash does."""
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait(STOP_S)

    def ask(self, number: int, command: str = "status") -> Mapping[str, Json]:
        """The daemon's own answer; empty while there is none."""
        try:
            return request(home_paths(self.daemons[number].home).socket, command)
        except P2PError:
            return {}

    def members(self, number: int) -> object:
        """How many members a daemon believes to be alive, itself included."""
        return self.ask(number).get("members")

    def roster(self, number: int) -> object:
        """The short hash of whom a daemon believes to be alive."""
        return self.ask(number).get("roster")

    def until(self, is_so: Callable[[], bool], deadline_s: float = START_S) -> None:
        """Wait for something that the daemons bring about."""

        def looks_so() -> bool:
            for daemon in self.daemons:
                daemon.read_journal()
            self._assert_all_live()
            return is_so()

        until(looks_so, deadline_s)

    def rounds(self, more: int, numbers: Sequence[int] = (), *, deadline_s: float = START_S) -> None:
        """Until each of these, by default all, has done so many more rounds."""
        chosen = [self.daemons[number] for number in numbers] or self.daemons
        for daemon in chosen:
            daemon.read_journal()
        goals = [daemon.round + more for daemon in chosen]
        self.until(lambda: all(d.round >= goal for d, goal in zip(chosen, goals, strict=True)), deadline_s)

    def has_merged(self, number: int, sender: object, after: int) -> bool:
        """Has a round after that number merged a model of the sender's?"""
        records = self.daemons[number].records
        done = (record for record in records if record["event"] == "round.done")
        return any(sender in _list(record["merged"]) for record in done if _whole(record["round"]) > after)

    def close(self) -> None:
        """Kill every daemon and remove the wires."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(STOP_S)
        self.wires.close()
        for daemon in self.daemons:
            daemon.forget()

    def _assert_all_live(self) -> None:
        for number, process in self._processes.items():
            code = process.poll()
            if code not in (None, -signal.SIGKILL):
                text = (self.daemons[number].home / "output.log").read_text("utf-8", "replace")
                raise AssertionError(f"node-{number} has ended with {code}:\n{text[-2000:]}")


def _home(folder: Path, number: int, *, count: int, topology: str, key: bytes) -> Path:
    home = folder / f"node-{number}"
    home.mkdir(mode=0o700)
    text = CONFIG.format(number=number, count=count, topology=topology, round_timeout_s=ROUND_TIMEOUT_S)
    for name, content in (
        ("p2pnode.toml", text.encode()),
        ("trust.toml", TRUST.encode()),
        ("network.key", key),
    ):
        (home / name).write_bytes(content)
        (home / name).chmod(0o600)
    return home


def _list(found: object) -> list[object]:
    assert isinstance(found, list)
    return found


def _whole(found: object) -> int:
    assert isinstance(found, int)
    return found
