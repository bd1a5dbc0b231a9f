"""A process that forks a daemon for each line of its input, and outlives none of them.

Theory of operation.  Lines ``{"home": DIR}`` come in on standard input; for each the server forks a child
that runs the daemon of that home, its output appended to ``DIR/daemon.log``.  Lines ``{"home", "pid"}`` and,
when a child has ended, ``{"home", "pid", "exit_code"}`` (a signal counts as its negative number) go out on
standard output.  The server never has a second thread: a fork would leave that one's locks locked for ever.

Homes that come in together are one batch: its children wait at a *gate*, the reading end of a pipe, until the
last of them is forked.  Otherwise a hundred daemons that look for each other would keep the processors from
the server, and those that are there would call in vain for those that are not.

A line ``{"temporary": DIR}`` names a folder that goes when the server ends: whoever made it may have been
killed, and cannot remove it any more.

Nobody outlives anybody.  When its input ends the server asks its children to stop, kills those that have not
within ``GRACE_S``, and waits for all.  When the server itself is killed, its children are killed by the
system where that can be asked for; everywhere they hold the reading end of a pipe, the *lifeline*, whose only
writing end is the server's, and stop when it closes.
"""

import ctypes
import json
import os
import selectors
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

from node_daemon.output import show_error
from p2pfl.errors import ConfigError, P2PError

GRACE_S = 10.0  # from SIGTERM to SIGKILL; a daemon stops within this time
READ_BYTES = 65_536
LOG_NAME = "daemon.log"
PR_SET_PDEATHSIG = 1
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ForkServer:
    """Forks ``run(home)`` per home that it reads, after ``prepare(home)`` in the server itself.

    ``commands`` is the file descriptor of the input; reports are written to ``reports`` as JSON lines.
    """

    def __init__(
        self,
        run: Callable[[Path], int],
        prepare: Callable[[Path], None],
        *,
        commands: int,
        reports: TextIO,
        grace_s: float = GRACE_S,
    ) -> None:
        self._run = run
        self._prepare = prepare
        self._commands = commands
        self._reports = reports
        self._grace_s = grace_s
        self._homes: dict[int, Path] = {}  # of the living children, by pid
        self._unread = b""
        self._lifeline = os.pipe()
        self._wakeup = os.pipe()  # a byte for each signal
        self._is_ending = False
        self._temporary: list[Path] = []

    def serve(self) -> int:
        """Fork as told until the input ends or a signal asks to stop; no child is left when this returns."""
        for end in self._wakeup:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the selector
        for number in HANDLED:
            signal.signal(number, self._stop)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._commands, selectors.EVENT_READ)
                selector.register(self._wakeup[0], selectors.EVENT_READ)
                while not self._is_ending:
                    self._turn(selector, None)
                selector.unregister(self._commands)
                self._end_children(selector)
        finally:
            self._kill_children()
            for folder in self._temporary:
                shutil.rmtree(folder, ignore_errors=True)
        return 0

    def _turn(self, selector: selectors.BaseSelector, timeout_s: float | None) -> None:
        """Wait for input, a signal or the time, and do what there is to do."""
        ready = {key.fd for key, _ in selector.select(timeout_s)}
        if self._wakeup[0] in ready:
            os.read(self._wakeup[0], READ_BYTES)
        self._reap()
        if self._commands in ready:
            self._start_all(self._homes_read())

    def _homes_read(self) -> Iterator[Path]:
        block = os.read(self._commands, READ_BYTES)
        if not block:
            self._is_ending = True
            return
        *lines, self._unread = (self._unread + block).split(b"\n")
        for line in lines:
            match _command(line):
                case {"home": str(home)}:
                    yield Path(home)
                case {"temporary": str(folder)}:
                    self._temporary.append(Path(folder))
                case _:
                    raise ConfigError(
                        f"the fork server reads lines like {{'home': DIR}}, not {line[:200]!r}", exit_code=2
                    )

    def _start_all(self, homes: Iterable[Path]) -> None:
        """Fork a child for each home; all begin once the last of them is there."""
        gate, opener = os.pipe()
        try:
            for home in homes:
                self._start(home, (gate, opener))
        finally:
            os.close(gate)
            os.close(opener)

    def _start(self, home: Path, gate: tuple[int, int]) -> None:
        with suppress(P2PError):  # the daemon meets the same fault, and says so in its own log
            self._prepare(home)
        _check_one_thread()
        server = os.getpid()
        # A signal that comes between fork and the child's own handling must not be lost on the server's.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        pid = os.fork()
        if pid == 0:
            self._become_daemon(home, server, gate)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        self._homes[pid] = home
        self._report(home, pid)

    def _become_daemon(self, home: Path, server: int, gate: tuple[int, int]) -> NoReturn:
        """In the child: let go of all that is the server's, then run; never returns into its loop."""
        exit_code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, *HANDLED):
                signal.signal(
                    number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                )
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
            entrance, opener = gate
            for end in (*self._wakeup, self._lifeline[1], opener):
                os.close(end)
            _redirect_output(home)
            _die_with(server)
            os.read(entrance, 1)  # nobody writes; returns when the server, which opens it, has let go
            os.close(entrance)
            threading.Thread(target=_watch, args=(self._lifeline[0], self._grace_s), daemon=True).start()
            exit_code = self._run(home)
        except P2PError as error:
            show_error(error, as_json=False)
            exit_code = error.exit_code
        except SystemExit as error:
            exit_code = error.code if isinstance(error.code, int) else int(error.code is not None)
        finally:
            kind, value, trace = sys.exc_info()
            if kind is not None and value is not None:
                sys.excepthook(kind, value, trace)  # a bug: its traceback belongs in the log
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)

    def _reap(self) -> None:
        while self._homes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            home = self._homes.pop(pid)
            self._report(home, pid, os.waitstatus_to_exitcode(status))

    def _report(self, home: Path, pid: int, exit_code: int | None = None) -> None:
        line: dict[str, str | int] = {"home": str(home), "pid": pid}
        if exit_code is not None:
            line["exit_code"] = exit_code
        try:
            print(json.dumps(line), file=self._reports, flush=True)
        except BrokenPipeError:
            self._is_ending = True  # whoever started us is gone

    def _stop(self, *_: object) -> None:
        self._is_ending = True

    def _end_children(self, selector: selectors.BaseSelector) -> None:
        deadline_s = time.monotonic() + self._grace_s
        for pid in self._homes:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)  # one that is suspended hears it then
        while self._homes and (left_s := deadline_s - time.monotonic()) > 0:
            self._turn(selector, left_s)

    def _kill_children(self) -> None:
        for pid in list(self._homes):
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            self._report(self._homes.pop(pid), pid, os.waitstatus_to_exitcode(status))


def _command(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _check_one_thread() -> None:
    tasks = Path("/proc/self/task")
    count = len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()
    if count > 1:
        raise ConfigError(
            f"the fork server has {count} threads and cannot fork safely",
            fix="start it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1",
        )


def _redirect_output(home: Path) -> None:
    """Nothing to read; what is printed goes to the log in ``home``."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(home / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    # The server's own sys.stdout may hold a report that is not ours to write, and may be any file.
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _die_with(server: int) -> None:
    """Ask the system to kill this process when the server dies; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it died before we asked
        os._exit(1)


def _watch(lifeline: int, grace_s: float) -> None:
    """Stop this process when the server has gone: politely, then for good."""
    os.read(lifeline, 1)  # nobody writes; returns at the end of the file
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os.kill(os.getpid(), signal.SIGKILL)
