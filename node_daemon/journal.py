"""The journal: what the node did, as JSON lines in the state folder, for whoever follows it.

Each line is ``{"ts": …, "event": …, facts}`` and is written whole by one call, so that a reader sees complete
lines and at most one torn one, the last, after a crash; a torn line is ended before the next is written and
ignored on reading.  At ``MAX_JOURNAL_BYTES`` the file is renamed to ``journal.jsonl.1``, replacing the older
one.  Nothing here is needed to resume: the checkpoint is.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from node_daemon.files import PRIVATE_FILE, disk_error, make_private_folder
from node_daemon.logs import Fact, to_json, utc_now

JOURNAL_FILE = "journal.jsonl"
MAX_JOURNAL_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 16
READ_BYTES = 1 << 16


class Journal:
    """Appends to the journal of one state folder."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_JOURNAL_BYTES) -> None:
        self._path = folder / JOURNAL_FILE
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._size_bytes = 0

    def append(self, event: str, **facts: Fact) -> None:
        """Write one line; raises StateError when the disk refuses, and may be called again later."""
        line = to_json({"ts": utc_now(), "event": event, **facts}).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            line = to_json({"ts": utc_now(), "event": event, "cut_bytes": len(line)}).encode() + b"\n"
        try:
            if self._descriptor < 0:
                self._open()
            if self._size_bytes and self._size_bytes + len(line) > self._max_bytes:
                self._rotate()
            self._write(line)
        except OSError as error:
            self.close()  # the next line opens again and ends what was torn here
            raise disk_error("write", self._path, error) from error

    def close(self) -> None:
        """Close the file; a later ``append`` opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        make_private_folder(self._path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, PRIVATE_FILE)
        self._size_bytes = os.fstat(self._descriptor).st_size
        if self._size_bytes and os.pread(self._descriptor, 1, self._size_bytes - 1) != b"\n":
            self._write(b"\n")

    def _rotate(self) -> None:
        self._path.replace(rotated(self._path))
        self.close()
        self._open()

    def _write(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)
        self._size_bytes += written
        if written != len(data):
            raise OSError(28, "No space left on device")


class JournalReader:
    """Follows a journal that another process writes: each call gives the lines that are new and whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_FILE
        self._inode = 0
        self._offset = 0

    def read_new(self) -> Iterator[Mapping[str, object]]:
        """The records since the last call, the rest of a rotated file first; no file gives none."""
        inode = _inode(self._path)
        if inode != self._inode:
            if self._inode and _inode(rotated(self._path)) == self._inode:
                yield from self._read(rotated(self._path))
            self._inode, self._offset = inode, 0
        yield from self._read(self._path)

    def _read(self, path: Path) -> Iterator[Mapping[str, object]]:
        torn = b""
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(READ_BYTES):
                    *lines, torn = (torn + chunk).split(b"\n")
                    for line in lines:
                        self._offset += len(line) + 1
                        yield from _record(line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_error("read", path, error) from error


def read_journal(folder: Path) -> Iterator[Mapping[str, object]]:
    """Every whole record that is still there, the rotated file first."""
    for path in (rotated(folder / JOURNAL_FILE), folder / JOURNAL_FILE):
        try:
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        yield from _record(line)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise disk_error("read", path, error) from error


def rotated(path: Path) -> Path:
    """The older file beside a journal."""
    return path.with_name(path.name + ".1")


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _record(line: bytes) -> Iterator[Mapping[str, object]]:
    """One record, or none for a line that a crash has torn."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(record, dict):
        yield record
