"""Can the node keep what it learns, and is what it has kept sound?"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from node_daemon import checkpoint
from node_daemon.checkpoint_writer import FREE_SPACE_FACTOR
from node_daemon.doctor.finding import Case, Finding, fail, ok, warn
from p2pfl.errors import StateError

FEW_CHECKPOINTS = 10  # room for fewer is a warning
LEAST_BYTES = 100_000_000  # free, where nothing is stored yet to tell the size from


def state(case: Case, *, is_writable: Callable[[Path], bool] | None = None) -> Sequence[Finding]:
    """The state folder can be written."""
    folder = _existing(case.paths.state)
    may_write = is_writable or (lambda path: os.access(path, os.W_OK | os.X_OK))
    if not folder.is_dir() or not may_write(folder):
        return fail("state", f"{folder} cannot be written", f"chown $USER {folder}; chmod 700 {folder}")
    return ok("state", f"{case.paths.state} is writable")


def stored(case: Case) -> Sequence[Finding]:
    """The newest checkpoint verifies: its header, its hash, its round."""
    folder = case.paths.state
    found = sorted(folder.glob("ckpt-*.safetensors"))
    if not found:
        return ok("checkpoint", "none is stored yet")
    entries = checkpoint.list_checkpoints(folder)
    damaged = len(found) - len(entries)
    for entry in entries:
        try:
            checkpoint.verify(entry.path)
        except (StateError, FileNotFoundError):  # the daemon may have pruned it meanwhile
            damaged += entry.path.exists()
            continue
        words = f"round {entry.facts.round} verifies, {entry.size_bytes:,} bytes"
        if not damaged:
            return ok("checkpoint", words)
        return warn("checkpoint", f"{damaged} damaged; {words}", "the next start goes on from that one")
    remedy = "restore one from a copy, or begin again: p2pnode start --fresh"
    return fail("checkpoint", f"none of {len(found)} in {folder} is intact", remedy)


def disk(case: Case, *, free_bytes: Callable[[Path], int] | None = None) -> Sequence[Finding]:
    """There is room for some checkpoints; each needs twice its size while it is written."""
    folder = _existing(case.paths.state)
    free = (free_bytes or (lambda path: shutil.disk_usage(path).free))(folder)
    entries = checkpoint.list_checkpoints(case.paths.state)
    size = entries[0].size_bytes if entries else LEAST_BYTES // FEW_CHECKPOINTS
    words = f"{free / 1e9:.1f} GB free where {folder} is"
    if free < FREE_SPACE_FACTOR * size:
        return fail("disk", f"{words}; the next checkpoint needs {2 * size / 1e9:.1f}", "make room")
    if free < FEW_CHECKPOINTS * size:
        return warn("disk", f"{words}, less than {FEW_CHECKPOINTS} checkpoints", "make room")
    return ok("disk", words)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
