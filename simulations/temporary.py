"""Temporary folders that do not outlive those who use them, not even when all of them are killed.

Each holds a lock that its user has, and whoever inherits the descriptor.  Who was killed could not remove its
folder; the next who makes one removes those whose lock nobody has any more.  Taken for one of ours is only a
folder of this user with the prefix and a lock in it, where such folders are made.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "p2pnode-run-"
LOCK_NAME = "lock"


class TemporaryFolder:
    """A folder that ``remove`` takes away; ``lock`` is the descriptor to pass on to processes that use it."""

    def __init__(self) -> None:
        remove_stale()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        unlocked = self.path / f"{LOCK_NAME}.new"  # under its name it is never seen without an owner
        self.lock = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        unlocked.rename(self.path / LOCK_NAME)

    def remove(self) -> None:
        """Take the folder away and let go of its lock; a second time does nothing."""
        if self.lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)
            self.lock = -1


def remove_stale() -> list[Path]:
    """Remove what users that are gone have left behind; says which folders that were."""
    folders = sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    return [folder for folder in folders if _remove_if_stale(folder)]


def _remove_if_stale(folder: Path) -> bool:
    with suppress(OSError):  # gone meanwhile, or not ours to look into
        facts = folder.lstat()
        if folder.is_symlink() or facts.st_uid != os.getuid():
            return False
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody has it
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
        return True
    return False
