"""Files that only their owner may touch: written whole or not at all, read only when nobody else could have
changed them.

A file appears under its name complete and on the disk: temporary file 0600 → fsync → rename (or link, for a
file that must not exist yet) → fsync of the folder.  A crash leaves at most a ``*.tmp``.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from node_daemon.disk import Disk, Failpoint, nowhere
from p2pfl.errors import ConfigError, StateError
from p2pfl.identity.keys import Identity, from_pem, generate, to_pem

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
TEMPORARY_SUFFIX = ".tmp"
IDENTITY_FILE = "identity.key"
LOCK_FILE = "lock"
MAX_CHECKED_BYTES = 1 << 20  # of a key, trust or config file
DISK_FULL = "disk full"

_FULL = (errno.ENOSPC, errno.EDQUOT)


def make_private_folder(folder: Path) -> None:
    """Make a folder (and its parents) that only this user may enter; one that exists stays as it is."""
    try:
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        for each in made:  # what will be in it is as durable as its own entry
            with suppress(PermissionError):  # a folder that may be written and not read
                sync_folder(each.parent)
    except OSError as error:
        raise disk_error("make the folder", folder, error) from error


def write_atomically(
    path: Path,
    parts: Iterable[bytes | memoryview],
    *,
    mode: int = PRIVATE_FILE,
    disk: Disk | None = None,
    reached: Failpoint = nowhere,
) -> None:
    """Put a complete file at ``path``, replacing one that is there; raises StateError.

    When this returns, the file survives the death of the process and, as far as fsync holds, a power cut.
    """
    disk = disk or Disk()
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        disk.unlink(temporary)
        _write_new(temporary, parts, mode=mode, disk=disk, reached=reached)
        reached("before_rename")
        disk.rename(temporary, path)
        reached("after_rename")
        reached("before_folder_fsync")
        disk.sync_folder(path.parent)
        reached("after_folder_fsync")
    except OSError as error:
        with suppress(OSError):  # the next start deletes leftovers
            disk.unlink(temporary)
        raise disk_error("write", path, error) from error


def create_exclusively(path: Path, data: bytes) -> bool:
    """Put a complete private file at ``path`` unless one is there; says whether it was created."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.unlink(missing_ok=True)
        _write_new(temporary, [data], mode=PRIVATE_FILE, disk=Disk(), reached=nowhere)
        try:
            os.link(temporary, path)  # fails if the name is taken, and never shows half a file
        finally:
            temporary.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise disk_error("create", path, error) from error
    return True


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in a folder durable."""
    Disk().sync_folder(folder)


def read_checked(path: Path, *, is_secret: bool = False) -> bytes:
    """The content of a key, trust or config file that only its owner can have written.

    Raises ConfigError (exit code 7) with the command that repairs it; a secret must not be readable by
    others either.  FileNotFoundError passes.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())  # of the open file: nobody can exchange it in between
            problem = permission_problem(facts.st_mode, facts.st_uid, is_secret=is_secret)
            if problem is not None:
                what, command = problem
                raise ConfigError(f"{path} {what}", fix=f"{command} {path}", exit_code=7)
            data = file.read(MAX_CHECKED_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", exit_code=7) from error
    if len(data) > MAX_CHECKED_BYTES:
        raise ConfigError(f"{path} is longer than {MAX_CHECKED_BYTES} bytes")
    return data


def permission_problem(
    mode: int, owner: int, *, is_secret: bool, user: int | None = None
) -> tuple[str, str] | None:
    """What is wrong with a file's owner or mode, and the command that repairs it; None when nothing is."""
    me = os.geteuid() if user is None else user
    if not stat.S_ISREG(mode):
        return "is not a regular file", "move away"
    if owner not in (0, me):
        return f"belongs to another user (uid {owner})", "chown $USER"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be changed by others (mode {stat.S_IMODE(mode):04o})", "chmod 600"
    if is_secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"can be read by others (mode {stat.S_IMODE(mode):04o})", "chmod 600"
    return None


def load_or_create_identity(folder: Path) -> Identity:
    """The identity in ``folder``; makes one when there is none.

    Raises ConfigError (exit code 7) for a key that others could have read or changed, or that is none.
    """
    path = folder / IDENTITY_FILE
    make_private_folder(folder)
    try:
        pem = read_checked(path, is_secret=True)
    except FileNotFoundError:
        create_exclusively(path, to_pem(generate()))  # when another process was first, its key is read
        pem = read_checked(path, is_secret=True)
    return from_pem(pem, where=str(path))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the state folder: one daemon per folder, until the process ends.

    Raises ConfigError naming the process that holds it.
    """
    path = folder / LOCK_FILE
    make_private_folder(folder)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise disk_error("open", path, error) from error
    try:
        _take_lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # releases the lock; the file stays, since deleting it would race


def disk_error(verb: str, path: Path, error: OSError) -> StateError:
    """The StateError for what the operating system refused."""
    if error.errno in _FULL:
        return StateError(DISK_FULL, where=str(path), fix="make room")
    return StateError(f"cannot {verb} {path}: {error.strerror or error}")


def _take_lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise ConfigError(
            f"the state folder {folder} is in use",
            facts=[f"pid {holder or 'unknown'} holds its lock"],
            fix="p2pnode stop, or start with another --home or --network",
            exit_code=1,
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _write_new(
    path: Path, parts: Iterable[bytes | memoryview], *, mode: int, disk: Disk, reached: Failpoint
) -> None:
    descriptor = disk.create(path, mode)
    try:
        reached("before_write")
        for part in parts:
            disk.write(descriptor, memoryview(part))
            reached("mid_write")
        reached("before_fsync")
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
