"""Jobs of a sweep on a Ray cluster: one remote function, which returns plain data and the bytes of files.

Ray itself serialises what it carries; of ours it carries texts, file names and bytes only.  p2pnode must be
installed on the machines of the cluster, and files that an experiment names must be there by the same names.
"""

import json
import re
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import ray
from ray.exceptions import RayError

from p2pfl.errors import P2PError
from simulations.environment import ONE_THREAD
from simulations.point_jobs import Answer, Failure, Job, answer_from, do

CONNECT_TIMEOUT_S = 5.0
HOST_AND_PORT = re.compile(r"(?:ray://)?\[?([^/\]]+?)\]?:(\d{1,5})")
MAX_WAITING = 1000  # jobs that the cluster knows of at a time

Returned: TypeAlias = tuple[str, dict[str, bytes]]  # the answer as JSON; name of each file -> its content


class RayCluster:
    """The cluster at ``address``; else that of RAY_ADDRESS, the one on this machine, or a new one here.

    ``limit`` bounds how many jobs it is given at a time; each takes one core.  A connection that is there
    already is used, and left open.
    """

    def __init__(self, address: str | None = None, *, limit: int | None = None) -> None:
        self._address = address
        self._limit = limit or MAX_WAITING
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(redirect_stdout(sys.stderr))  # Ray says there what happens to its workers
            if not ray.is_initialized():
                self._connect()
                opened.callback(ray.shutdown)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def work(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
        """Do all jobs; yields each as soon as it is done."""
        remote = ray.remote(num_cpus=1, max_retries=0, runtime_env={"env_vars": ONE_THREAD})(remotely)
        waiting = deque(jobs)
        running: dict[ray.ObjectRef[Returned], Job] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._limit:
                    job = waiting.popleft()
                    running[remote.remote(json.dumps(job.point.table), job.folder is not None)] = job
                (done,), _ = ray.wait(list(running), num_returns=1)
                job = running.pop(done)
                yield job, _answer(done, job)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _connect(self) -> None:
        place = self._address and HOST_AND_PORT.fullmatch(self._address)
        try:
            if place:
                # Ray itself would try for minutes.
                socket.create_connection((place[1], int(place[2])), CONNECT_TIMEOUT_S).close()
            ray.init(address=self._address, log_to_driver=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise P2PError(
                f"no Ray cluster answers: {error}", where="address", fix="ray status shows it"
            ) from error


def remotely(table: str, is_run: bool) -> Returned:
    """Check or run the experiment of a table in JSON; the files of its result come back as bytes."""
    with tempfile.TemporaryDirectory(prefix="p2pnode-") as name:
        folder = Path(name, "result")
        answer = do(json.loads(table), folder if is_run else None)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return json.dumps(answer.table()), files


def _answer(done: "ray.ObjectRef[Returned]", job: Job) -> Answer:
    try:
        text, files = ray.get(done)
    except RayError as error:  # the code of the experiment has a mistake, or its process was ended
        lines = [line for line in str(error).splitlines() if line.strip()]
        return Answer(Failure(lines[-1] if lines else type(error).__name__, log=str(error)))
    for name, content in files.items():
        assert job.folder is not None, "only a run has files"
        path = job.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return answer_from(json.loads(text))
