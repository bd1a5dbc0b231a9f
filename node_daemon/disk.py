"""The operations that put a file on the disk for good, and named points between them.

A test puts another ``Disk`` in place of the system's (one that fails, or that records what a power cut would
leave), or passes a function that is called at each point and may end the process there.  Nothing outside the
program reaches either.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

# Called with the name of the point that the writer of a file has reached.
Failpoint: TypeAlias = Callable[[str], None]

POINTS = (
    "before_write",
    "mid_write",
    "before_fsync",
    "before_rename",
    "after_rename",
    "before_folder_fsync",
    "after_folder_fsync",
    "mid_prune",
    "after_prune",
)


def nowhere(_: str) -> None:
    """The failpoint of every run but a test's."""


class Disk:
    """The operating system's own operations; each raises OSError."""

    def create(self, path: Path, mode: int) -> int:
        """A descriptor of a new, empty file."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

    def write(self, descriptor: int, data: memoryview) -> None:
        """All of the bytes, behind those that are there."""
        while data:
            data = data[os.write(descriptor, data) :]

    def sync(self, descriptor: int) -> None:
        """What was written is on the disk when this returns."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Let go of a file."""
        os.close(descriptor)

    def rename(self, path: Path, target: Path) -> None:
        """Another name, in place of a file that has it."""
        path.rename(target)

    def unlink(self, path: Path) -> None:
        """Take a name away; one that is not there may be missing."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Renames and deletions in a folder are on the disk when this returns."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        """How much more the file system of a folder takes."""
        return shutil.disk_usage(folder).free
