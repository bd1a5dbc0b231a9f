"""One daemon on this machine, seen from outside: its journal, its checkpoint, its memory."""

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from p2pfl.errors import P2PError
from simulations.homes import node_name

MAX_RECORDS = 100_000  # journal lines kept of one daemon
LOG_LINES = 5  # of a daemon's log, quoted in an error


class Daemon:
    """What is known of one daemon; ``exit_code`` is None until it has ended, and again after a restart."""

    def __init__(self, number: int, home: Path) -> None:
        self.number = number
        self.home = home
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.is_expected_to_end = False
        self.finished_round: int | None = None
        self.records: deque[Mapping[str, object]] = deque(maxlen=MAX_RECORDS)
        self._sent: list[tuple[int, int]] = []  # (bytes, messages) so far, of each start
        self.round = 0  # the last that it has done
        self.accuracy: float | None = None  # on the whole test set, where it was evaluated last
        self._journal = _Journal(home / "state" / "journal.jsonl")

    @property
    def name(self) -> str:
        """What the node is called."""
        return node_name(self.number)

    def begin(self) -> None:
        """It is about to be started, or started again."""
        self.pid, self.exit_code, self.is_expected_to_end = None, None, False

    @property
    def is_running(self) -> bool:
        """Has it been started, and not ended since?"""
        return self.pid is not None and self.exit_code is None

    @property
    def is_done(self) -> bool:
        """Has it finished its rounds, and reported the last?"""
        return self.finished_round is not None and self.round >= self.finished_round

    @property
    def bytes_sent(self) -> int:
        """Of models and bodies, in all its starts; what it sent after its last report is missing."""
        return sum(count for count, _ in self._sent)

    @property
    def messages_sent(self) -> int:
        """Likewise, heartbeats not counted."""
        return sum(count for _, count in self._sent)

    @property
    def log(self) -> Path:
        """What the daemon has printed."""
        return self.home / "daemon.log"

    @property
    def summary(self) -> str:
        """One line for people."""
        state = "running" if self.is_running else f"exit code {self.exit_code}"
        return f"{self.name}: {state}, round {self.round}"

    def read_journal(self) -> None:
        """Take up the lines that were written since the last time."""
        for record in self._journal.read_new():
            self.records.append(record)
            self._take_up(record)

    def _take_up(self, record: Mapping[str, object]) -> None:
        match record:
            case {"event": "node.listening"}:  # a start, which counts from nothing
                self._sent.append((0, 0))
            case {"event": "round.done", "round": int(number)}:
                self.round = number
            case {"event": "run.finished", "round": int(number)}:
                self.finished_round = number
        match record:
            case {"bytes_sent": int(count), "messages_sent": int(messages)}:
                self._sent[-1:] = [(count, messages)]
        match record:
            case {"accuracy": float(accuracy)}:
                self.accuracy = accuracy

    def model(self) -> NDArray[np.float32]:
        """The parameters [P] in the newest checkpoint."""
        found = self.newest()
        if found is None:
            raise P2PError(f"{self.name} has no checkpoint", where=str(self.home))
        return found[1]

    def newest(self) -> tuple[int, NDArray[np.float32]] | None:
        """Round and parameters [P] in the newest checkpoint, if there is one."""
        newest, found = -1, None
        for path in self._checkpoints():
            with safe_open(str(path), framework="np") as file:
                facts = json.loads(file.metadata()["p2pnode"])
                if int(facts["sequence"]) > newest:
                    newest, found = int(facts["sequence"]), (int(facts["round"]), file.get_tensor("model"))
        return found

    def forget_model(self) -> None:
        """Remove its checkpoints, while it is down: it will begin as one that is new."""
        for path in self._checkpoints():
            path.unlink()
        self.finished_round = None

    def _checkpoints(self) -> list[Path]:
        return list((self.home / "state").glob("ckpt-*.safetensors"))

    def proportional_set_size(self) -> int:
        """Memory in bytes, shared pages divided by their users; Linux only."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise P2PError(f"/proc/{self.pid}/smaps_rollup has no Pss line")

    def forget(self) -> None:
        """Let go of its files."""
        self._journal.close()

    def ended_by_itself(self, *, is_log_kept: bool = True) -> P2PError:
        """The error for a daemon that nobody has asked to end; names its log if that stays."""
        log = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return P2PError(
            f"{self.name} has ended by itself with exit code {self.exit_code}",
            where=str(self.log) if is_log_kept else "",
            facts=log[-LOG_LINES:],
            exit_code=max(self.exit_code or 0, 1),
        )


class _Journal:
    """Follows a file of JSON lines, also when a new one takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._torn = b""

    def read_new(self) -> Iterator[Mapping[str, object]]:
        if self._file is None and self._path.exists():
            self._file = self._path.open("rb")
        while self._file is not None:
            yield from self._lines(self._file.read())
            if not self._is_replaced(self._file):
                return
            yield from self._lines(self._file.read())  # what was written just before
            self._file.close()
            self._file, self._torn = self._path.open("rb"), b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _lines(self, block: bytes) -> Iterator[Mapping[str, object]]:
        *lines, self._torn = (self._torn + block).split(b"\n")
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue  # torn by a crash

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False
