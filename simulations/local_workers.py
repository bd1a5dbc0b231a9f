"""Jobs of a sweep in processes of this machine: fresh interpreters with one thread each.

They are started by command, not by ``multiprocessing``, so that a script needs no ``__main__`` guard and a
notebook works too; nothing is pickled.  A process that ends by itself fails its job, and a fresh one takes
its place.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from simulations.environment import environment
from simulations.point_jobs import Answer, Failure, Job, answer_from

END_TIMEOUT_S = 10.0
LOG_CHARACTERS = 20_000


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class LocalWorkers:
    """At most ``count`` processes, started when there is work, kept from one call of ``work`` to the next."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: dict[Connection, _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.ask_to_end()
        deadline_s = time.monotonic() + END_TIMEOUT_S
        for worker in self._workers.values():
            worker.end(deadline_s)
        self._workers.clear()

    def work(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
        """Do all jobs; yields each as soon as it is done."""
        waiting = deque(jobs)
        busy: dict[Connection, Job] = {}
        while waiting or busy:
            while waiting and len(busy) < self._count:
                job = waiting.popleft()
                busy[self._give(job, busy)] = job
            for channel in wait(list(busy)):
                assert isinstance(channel, Connection)
                yield busy.pop(channel), self._answer(channel)

    def _give(self, job: Job, busy: dict[Connection, Job]) -> Connection:
        for channel in [each for each in self._workers if each not in busy]:
            if self._workers[channel].take(job):
                return channel
            self._remove(channel)  # it ended while it had nothing to do
        worker = _Worker()
        self._workers[worker.channel] = worker
        worker.take(job)
        return worker.channel

    def _answer(self, channel: Connection) -> Answer:
        try:
            return answer_from(json.loads(channel.recv_bytes()))
        except (EOFError, ConnectionResetError):
            return Answer(self._remove(channel))

    def _remove(self, channel: Connection) -> Failure:
        worker = self._workers.pop(channel)
        worker.end(time.monotonic() + END_TIMEOUT_S)
        return worker.failure()


class _Worker:
    def __init__(self) -> None:
        self.channel, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        self._said = ""
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "simulations.point_worker", str(theirs.fileno())],
                stdin=subprocess.PIPE,  # held open as long as this process lives
                stdout=self._log,  # no terminal: nobody there looks at its progress
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                env=environment(),
                process_group=0,  # Ctrl-C is for this process, which ends the others in order
            )

    def take(self, job: Job) -> bool:
        """Whether it has the job; not if it has ended."""
        folder = None if job.folder is None else str(job.folder.absolute())
        try:
            self.channel.send_bytes(json.dumps({"table": job.point.table, "folder": folder}).encode())
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def ask_to_end(self) -> None:
        self._process.terminate()

    def end(self, deadline_s: float) -> None:
        """See that it has ended, and read what it said."""
        self.channel.close()
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.seek(0)
        self._said = self._log.read().decode("utf-8", "replace")[-LOG_CHARACTERS:]
        self._log.close()

    def failure(self) -> Failure:
        """Why it has ended, after ``end``."""
        code = self._process.returncode
        if code < 0:
            what = f"its process was killed by {signal.Signals(-code).name}"
            fix = "out of memory? fewer --jobs need less" if code == -signal.SIGKILL else ""
            return Failure(what, fix=fix, log=self._said)
        lines = [line for line in self._said.splitlines() if line.strip()]
        return Failure(lines[-1] if lines else f"its process ended with exit code {code}", log=self._said)
