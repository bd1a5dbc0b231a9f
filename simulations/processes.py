"""Real daemons on this machine, started through one fork server, watched through their files.

This side reaches a daemon only as a user does: a config file, the command, signals, and what it writes in
its home (``state/journal.jsonl``, ``state/ckpt-*.safetensors``).  Whatever ends this process - Ctrl-C, an
exception, SIGKILL - closes the fork server's input, and with it end all daemons.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import P2PError
from simulations.daemons import LOG_LINES, Daemon
from simulations.environment import environment
from simulations.homes import Deployment, write_homes
from simulations.temporary import TemporaryFolder

POLL_S = 0.05
CLOSE_TIMEOUT_S = 20.0  # a daemon stops within 10 s, and is killed then
COMMAND_TIMEOUT_S = 30.0
SERVER_LOG = "fork-server.log"
ENDINGS = (signal.SIGTERM, signal.SIGKILL)


class Processes:
    """N daemons from start to end; a context manager that leaves no process behind.

    ``folder`` receives the homes and stays; by default they are in a temporary folder that goes.
    """

    def __init__(self, deployment: Deployment, folder: Path | None = None) -> None:
        self._deployment = deployment
        self._temporary: TemporaryFolder | None = None
        if folder is None:
            self._temporary = TemporaryFolder()
            folder = self._temporary.path
        self._is_folder_mine = self._temporary is not None
        self.folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self.daemons: list[Daemon] = []
        try:
            self.daemons += [Daemon(i, home) for i, home in enumerate(write_homes(deployment, self.folder))]
        except P2PError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Start the fork server, which imports what daemons need while the caller does something else."""
        if self._server is not None:
            return
        with (self.folder / SERVER_LOG).open("wb") as log:
            self._server = subprocess.Popen(
                _command("start", "--fork-server"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={k: v for k, v in environment().items() if not k.startswith("P2PNODE_")},
                pass_fds=() if self._temporary is None else (self._temporary.lock,),
                start_new_session=True,  # Ctrl-C is for this process, which ends the others in order
            )
        if self._is_folder_mine:
            self._write({"temporary": str(self.folder)})

    def start(self, numbers: Sequence[int] | None = None) -> None:
        """Start these daemons, or start them again; by default all.  Returns once they exist."""
        self.prepare()
        chosen = [self.daemons[i] for i in (range(len(self.daemons)) if numbers is None else numbers)]
        for daemon in chosen:
            daemon.begin()
        self._write(*({"home": str(daemon.home)} for daemon in chosen))
        self.wait(lambda: all(daemon.pid is not None for daemon in chosen), timeout_s=60)

    def restart(self, number: int) -> None:
        """Start a daemon that has ended; it resumes from its checkpoint."""
        self.start([number])

    def kill(self, number: int) -> None:
        """End a daemon at once, as a crash does."""
        self._end(number, signal.SIGKILL)

    def stop(self, number: int) -> None:
        """Ask a daemon to end: checkpoint, good-bye."""
        self._end(number, signal.SIGTERM)

    def send_signal(self, number: int, how: signal.Signals) -> None:
        """Send a signal to a daemon, if it runs."""
        self._signal(self.daemons[number], how)

    def stop_all(self) -> None:
        """Ask all daemons to end, the suspended too, and wait for them."""
        for daemon in self.daemons:
            self._signal(daemon, signal.SIGTERM)
            self._signal(daemon, signal.SIGCONT)
        self.wait(lambda: not any(d.is_running for d in self.daemons), timeout_s=CLOSE_TIMEOUT_S)

    def poll(self, timeout_s: float = POLL_S) -> None:
        """Take up what has happened, after waiting a little; raises P2PError if a daemon ended by itself."""
        server = self._running_server()
        with selectors.DefaultSelector() as selector:
            selector.register(server.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            if selector.select(timeout_s):
                self._read_reports(server)
        for daemon in self.daemons:
            daemon.read_journal()
        for daemon in self.daemons:
            if daemon.exit_code is not None and not daemon.is_expected_to_end:
                raise daemon.ended_by_itself(is_log_kept=not self._is_folder_mine)

    def wait(
        self,
        is_so: Callable[[], bool],
        *,
        timeout_s: float,
        on_poll: Callable[[Sequence[Daemon]], None] | None = None,
        poll_s: float | None = None,
    ) -> None:
        """Poll every so often until ``is_so()``; raises P2PError after ``timeout_s``."""
        deadline_s = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline_s:
                raise P2PError(
                    f"the daemons were not done within {timeout_s:g} s",
                    facts=[daemon.summary for daemon in self.daemons],
                    fix="" if self._is_folder_mine else f"look at the daemon.log of each in {self.folder}",
                )
            self.poll(POLL_S if poll_s is None else poll_s)
            if on_poll is not None:
                on_poll(self.daemons)

    def wait_done(
        self, *, timeout_s: float, on_poll: Callable[[Sequence[Daemon]], None] | None = None
    ) -> None:
        """Until every daemon has finished its rounds."""
        self.wait(lambda: all(d.is_done for d in self.daemons), timeout_s=timeout_s, on_poll=on_poll)

    def ask(self, number: int, *arguments: str) -> Mapping[str, object]:
        """The answer of a command that reads, as in ``ask(0, "peers")``."""
        command = _command(*arguments, "--home", str(self.daemons[number].home), "--json")
        answer = subprocess.run(
            command, check=False, capture_output=True, timeout=COMMAND_TIMEOUT_S, env=environment()
        )
        found: Mapping[str, object] = json.loads(answer.stdout)
        return found

    def models(self) -> NDArray[np.float32]:
        """All models [N, P]."""
        return np.stack([daemon.model() for daemon in self.daemons])

    def proportional_set_sizes(self) -> list[int]:
        """Memory of each running daemon in bytes, shared pages divided by their users; Linux only."""
        return [daemon.proportional_set_size() for daemon in self.daemons if daemon.is_running]

    def memory_bytes(self) -> tuple[int, ...] | None:
        """The proportional set size of every daemon, 0 of one that is down; None where it cannot be known."""
        if sys.platform != "linux":
            return None
        return tuple(daemon.proportional_set_size() if daemon.is_running else 0 for daemon in self.daemons)

    def close(self) -> None:
        """End all daemons and the fork server, and remove the homes if they were temporary."""
        server, self._server = self._server, None
        try:
            if server is not None:
                _end_server(server)
        finally:
            for daemon in self.daemons:
                daemon.forget()
            if self._temporary is not None:
                self._temporary.remove()

    def wait_ended(self, number: int) -> None:
        """Until a daemon is no more."""
        self.wait(lambda: not self.daemons[number].is_running, timeout_s=CLOSE_TIMEOUT_S)

    def _end(self, number: int, how: signal.Signals) -> None:
        self.send_signal(number, how)
        self.wait_ended(number)

    def _signal(self, daemon: Daemon, how: signal.Signals) -> None:
        if how in ENDINGS:
            daemon.is_expected_to_end = True
        if daemon.is_running and daemon.pid is not None:
            with suppress(ProcessLookupError):  # it has ended, and the server will say so
                os.kill(daemon.pid, how)

    def _running_server(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            raise P2PError("the daemons have not been started")
        return self._server

    def _write(self, *lines: Mapping[str, str]) -> None:
        """Tell the server, all at once: homes of one writing start together."""
        server = self._running_server()
        assert server.stdin is not None
        try:
            server.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            server.stdin.flush()
        except BrokenPipeError as error:
            raise self._server_ended() from error

    def _read_reports(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdout is not None
        block = os.read(server.stdout.fileno(), 65_536)
        if not block:
            raise self._server_ended()
        *lines, self._unread = (self._unread + block).split(b"\n")
        of_home = {str(daemon.home): daemon for daemon in self.daemons}
        for line in lines:
            report = json.loads(line)
            daemon = of_home[report["home"]]
            daemon.pid, daemon.exit_code = report["pid"], report.get("exit_code")

    def _server_ended(self) -> P2PError:
        log = (self.folder / SERVER_LOG).read_text("utf-8", "replace").splitlines()
        return P2PError("the fork server has ended", facts=log[-LOG_LINES:])


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "node_daemon", *arguments]


def _end_server(server: subprocess.Popen[bytes]) -> None:
    try:
        server.communicate(timeout=CLOSE_TIMEOUT_S)  # closes its input and reads what is left
    except subprocess.TimeoutExpired:
        server.kill()  # its children die with it
        server.communicate()
