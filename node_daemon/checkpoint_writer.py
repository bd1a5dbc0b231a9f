"""Writes checkpoints: when ``write`` returns, the round may be announced.

Free space → temporary file 0600 → fsync → rename to a new name → fsync of the folder → the oldest go.  At no
moment is the folder without a good file, and nothing that was announced is lost by a ``kill -9``.
"""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from node_daemon.checkpoint import Entry, list_checkpoints
from node_daemon.checkpoint_file import encode
from node_daemon.disk import Disk, Failpoint, nowhere
from node_daemon.files import DISK_FULL, disk_error, make_private_folder, write_atomically
from p2pfl.errors import StateError
from p2pfl.model import Checkpoint

KEPT_CHECKPOINTS = 3
FREE_SPACE_FACTOR = 2  # times the size of a file must be free before it is written


class CheckpointWriter:
    """Writes the checkpoints of one run into its state folder; one thread at a time."""

    def __init__(
        self, folder: Path, *, plan: bytes = b"", disk: Disk | None = None, reached: Failpoint = nowhere
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._disk = disk or Disk()
        self._reached = reached
        self._sequence = 0  # of the last file; greater than any that is there

    def write(self, checkpoint: Checkpoint) -> Path:
        """Store a checkpoint; when this returns it is on the disk and older ones are pruned.

        Raises StateError when space runs out, the disk fails, or a number in it is none; what was there
        before is untouched then.
        """
        make_private_folder(self._folder)
        try:
            older = list_checkpoints(self._folder)
        except OSError as error:
            raise disk_error("look into", self._folder, error) from error
        self._sequence = max([self._sequence, *(entry.facts.sequence for entry in older)]) + 1
        data = encode(checkpoint, plan=self._plan, sequence=self._sequence)
        demand_space(self._folder, len(data), self._disk)
        digest = sha256(data).hexdigest()[:32]
        path = self._folder / f"ckpt-{checkpoint.round:08d}.{digest}.safetensors"
        halves = memoryview(data)[: len(data) // 2], memoryview(data)[len(data) // 2 :]
        write_atomically(path, halves, disk=self._disk, reached=self._reached)
        self._prune(older[KEPT_CHECKPOINTS - 1 :])
        return path

    def _prune(self, surplus: Sequence[Entry]) -> None:
        for entry in surplus:
            self._reached("mid_prune")
            with suppress(OSError):  # a file too many does no harm; the next write tries again
                self._disk.unlink(entry.path)
        self._reached("after_prune")


def demand_space(folder: Path, size_bytes: int, disk: Disk | None = None) -> None:
    """Raise StateError unless a file of this size fits well."""
    try:
        free = (disk or Disk()).free_bytes(folder)
    except OSError as error:
        raise disk_error("look at", folder, error) from error
    if free < FREE_SPACE_FACTOR * size_bytes:
        raise StateError(
            DISK_FULL,
            where=str(folder),
            facts=[f"{free} bytes are free; {FREE_SPACE_FACTOR} x {size_bytes} are needed"],
            fix="make room",
        )
