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
        self._evaluated: Mapping[str, object] = {}
        self._journal = _Journal(home / "state" / "journal.jsonl")

    @property
    def name(self) -> str:
        """What the node is called."""
        return node_name(self.number)

    @property
    def is_running(self) -> bool:
        """Has it been started, and not ended since?"""
        return self.pid is not None and self.exit_code is None

    @property
    def is_done(self) -> bool:
        """Has it finished its rounds, and evaluated the last?"""
        return self.finished_round is not None and self.round >= self.finished_round

    @property
    def round(self) -> int:
        """The last round that was evaluated; 0 before the first."""
        found = self._evaluated.get("round")
        return found if isinstance(found, int) else 0

    @property
    def accuracy(self) -> float | None:
        """On the whole test set, after ``round``."""
        found = self._evaluated.get("accuracy")
        return float(found) if isinstance(found, int | float) else None

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
            match record:
                case {"event": "round.done"}:
                    self._evaluated = record
                case {"event": "run.finished", "round": int(number)}:
                    self.finished_round = number

    def model(self) -> NDArray[np.float32]:
        """The parameters [P] in the newest checkpoint."""
        newest, params = -1, np.empty(0, np.float32)
        for path in (self.home / "state").glob("ckpt-*.safetensors"):
            with safe_open(str(path), framework="np") as file:
                sequence = int(json.loads(file.metadata()["p2pnode"])["sequence"])
                if sequence > newest:
                    newest, params = sequence, file.get_tensor("model")
        if newest < 0:
            raise P2PError(f"{self.name} has no checkpoint", where=str(self.home))
        return params

    def proportional_set_size(self) -> int:
        """Memory in bytes, shared pages divided by their users; Linux only."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise P2PError(f"/proc/{self.pid}/smaps_rollup has no Pss line")

    def forget(self) -> None:
        """Let go of its files."""
        self._journal.close()

    def ended_by_itself(self) -> P2PError:
        """The error for a daemon that nobody has asked to end."""
        log = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return P2PError(
            f"{self.name} has ended by itself with exit code {self.exit_code}",
            where=str(self.log),
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
