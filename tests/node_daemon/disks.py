"""Disks for tests: one that fails when told to, and one that knows what a power cut would leave."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from node_daemon.disk import Disk

OPERATIONS = ("create", "write", "sync", "rename", "sync_folder", "free_bytes")


class FailingDisk(Disk):
    """One operation fails with one error, as long as ``is_broken``; a write has written half by then."""

    def __init__(self, operation: str, number: int = errno.ENOSPC) -> None:
        self._operation = operation
        self._number = number
        self.is_broken = True

    def _pass(self, operation: str) -> None:
        if self.is_broken and operation == self._operation:
            raise OSError(self._number, os.strerror(self._number))

    def create(self, path: Path, mode: int) -> int:
        self._pass("create")
        return super().create(path, mode)

    def write(self, descriptor: int, data: memoryview) -> None:
        if self.is_broken and self._operation == "write":
            super().write(descriptor, data[: len(data) // 2])
        self._pass("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._pass("sync")
        super().sync(descriptor)

    def rename(self, path: Path, target: Path) -> None:
        self._pass("rename")
        super().rename(path, target)

    def sync_folder(self, folder: Path) -> None:
        self._pass("sync_folder")
        super().sync_folder(folder)

    def free_bytes(self, folder: Path) -> int:
        self._pass("free_bytes")
        return super().free_bytes(folder)


Files: TypeAlias = dict[str, bytes]


class RecordingDisk(Disk):
    """Carries everything out, and writes down what was done, with the announcements of its user between.

    The model of a power cut: the content of a file survives as far as it was written before its last fsync;
    of what came later any beginning may be there.  Renames and deletions survive in their order, those before
    the last fsync of the folder for sure, of the later ones any number.
    """

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []
        self._names: dict[int, str] = {}

    def announce(self, number: int) -> None:
        self.log.append(("announce", number))

    def create(self, path: Path, mode: int) -> int:
        descriptor = super().create(path, mode)
        self._names[descriptor] = path.name
        self.log.append(("create", path.name))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> None:
        super().write(descriptor, data)
        self.log.append(("write", self._names[descriptor], bytes(data)))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.log.append(("sync", self._names[descriptor]))

    def rename(self, path: Path, target: Path) -> None:
        super().rename(path, target)
        self.log.append(("rename", path.name, target.name))

    def unlink(self, path: Path) -> None:
        if path.exists():
            self.log.append(("unlink", path.name))
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.log.append(("sync_folder",))


def survivors(log: list[tuple[object, ...]]) -> Iterator[Files]:
    """What may be in the folder after a power cut at the end of this log: every way in which it can go.

    A file is a content; names point to contents.  Changes of names after the last fsync of the folder are
    there up to any one of them; of a content that was not synced there is nothing, half, or all.
    """
    names: list[dict[str, int]] = [{}]  # after each change since the last fsync of the folder
    written: list[bytes] = []
    synced: list[int] = []  # bytes
    for operation, *facts in log:
        now = dict(names[-1])
        match operation, facts:
            case "create", [str(name)]:
                now[name] = len(written)
                written.append(b"")
                synced.append(0)
                names.append(now)
            case "write", [str(name), bytes(data)]:
                written[now[name]] += data
            case "sync", [str(name)]:
                synced[now[name]] = len(written[now[name]])
            case "rename", [str(name), str(target)]:
                now[target] = now.pop(name)
                names.append(now)
            case "unlink", [str(name)]:
                del now[name]
                names.append(now)
            case "sync_folder", []:
                names = [now]
    for entries in names:
        for share in (0.0, 0.5, 1.0):
            yield {name: _left(written[i], synced[i], share) for name, i in entries.items()}


def _left(content: bytes, synced: int, share: float) -> bytes:
    return content[: synced + int(share * (len(content) - synced))]
