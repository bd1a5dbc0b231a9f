"""Checkpoints in the state folder: a new name each time, so that there is no moment without a good file.

``ckpt-00000123.<first 32 hex of its SHA-256>.safetensors`` is written (``checkpoint_writer``) beside the
older ones and only then may the oldest go; three are kept.  On the way back the newest that is intact
(header, hash, finite) is taken; bad ones are renamed ``*.corrupt`` and said; when none is left the daemon
stops with exit code 5 rather than begin from zero in silence.
"""

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from node_daemon.checkpoint_file import Facts, decode, read_facts
from node_daemon.files import (
    TEMPORARY_SUFFIX,
    disk_error,
    make_private_folder,
    sync_folder,
    write_atomically,
)
from node_daemon.logs import log_event
from p2pfl.errors import ConfigError, StateError
from p2pfl.model import Checkpoint

KEPT_CORRUPT = 3
INCARNATION_FILE = "incarnation"
MAX_INCARNATION = 2**63 - 1

_NAME = re.compile(r"ckpt-(\d{8,})\.([0-9a-f]{32})\.safetensors")
_CORRUPT_SUFFIX = ".corrupt"
_OLD_SUFFIX = ".old"


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint in a folder, as its header describes it."""

    path: Path
    facts: Facts
    size_bytes: int


def list_checkpoints(folder: Path) -> list[Entry]:
    """The checkpoints with a readable header, newest first."""
    entries = []
    for path in checkpoint_paths(folder):
        with suppress(StateError):
            entries.append(_read_entry(path))
    return _newest_first(entries)


def checkpoint_paths(folder: Path) -> list[Path]:
    """The files that bear the name of a checkpoint, readable or not, by round."""
    return sorted(path for path in folder.glob("ckpt-*.safetensors") if is_checkpoint_name(path.name))


def load_newest(
    folder: Path, *, plan: bytes | None = None, parameters: int | None = None
) -> Checkpoint | None:
    """The newest intact checkpoint, or None in a folder that never held one.

    Sets damaged files aside and deletes leftovers of crashes.  Raises StateError (exit code 5) when files are
    there but none is intact, ConfigError when the intact one is of another plan or another model.
    """
    try:
        return _load_newest(folder, plan=plan, parameters=parameters)
    except OSError as error:
        raise disk_error("look into", folder, error) from error


def _load_newest(folder: Path, *, plan: bytes | None, parameters: int | None) -> Checkpoint | None:
    _delete_leftovers(folder)
    for entry in _readable(folder):
        try:
            checkpoint = load(entry.path)
        except StateError as error:
            _set_aside_corrupt(entry.path, error)
            continue
        _demand_same_run(entry, plan=plan, parameters=parameters)
        return checkpoint
    if corrupt := sorted(folder.glob(f"ckpt-*{_CORRUPT_SUFFIX}")):
        raise StateError(
            "no checkpoint is intact",
            where=str(folder),
            facts=[f"damaged: {path.name}" for path in corrupt],
            fix="restore one from a copy, or start with --fresh to begin again from the initial model",
        )
    return None


def load(path: Path) -> Checkpoint:
    """Read and verify one checkpoint: header first, then the hash in its name, then its tensors."""
    facts = _read_entry(path).facts
    try:
        data = path.read_bytes()
    except OSError as error:
        raise disk_error("read", path, error) from error
    match = _NAME.fullmatch(path.name)
    if match is None or sha256(data).hexdigest()[:32] != match[2]:
        raise StateError("its content is not what its name says", where=path.name)
    return decode(data, facts)


def verify(path: Path) -> Entry:
    """Check a checkpoint as a restart would; raises StateError that says what is wrong."""
    load(path)
    return _read_entry(path)


def is_checkpoint_name(name: str) -> bool:
    """Is this how a checkpoint is called, its hash in its name?"""
    return _NAME.fullmatch(name) is not None


def set_aside(folder: Path, *, but: Path | None = None) -> list[Path]:
    """Make room for a fresh start: rename every checkpoint to ``*.old``, replacing those of the last time.

    Except ``but``, the one to start from.
    """
    try:
        for path in folder.glob(f"ckpt-*{_OLD_SUFFIX}"):
            path.unlink()
        paths = [*checkpoint_paths(folder), *folder.glob(f"ckpt-*{_CORRUPT_SUFFIX}")]
        renamed = [path.rename(path.with_name(path.name + _OLD_SUFFIX)) for path in paths if path != but]
        if renamed:
            sync_folder(folder)
    except OSError as error:
        raise disk_error("set aside the checkpoints in", folder, error) from error
    return renamed


def next_incarnation(folder: Path) -> int:
    """The number of this start: the stored one + 1, on the disk before the first packet leaves."""
    make_private_folder(folder)
    path = folder / INCARNATION_FILE
    try:
        text = path.read_text("ascii", "replace")[:32].strip() if path.exists() else "0"
    except OSError as error:
        raise disk_error("read", path, error) from error
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) >= MAX_INCARNATION:
        raise StateError(
            f"{path} does not hold a number",
            fix="write into it a number above every incarnation this node had (its log names them)",
        )
    number = int(text) + 1
    write_atomically(path, [f"{number}\n".encode()])
    return number


def raise_incarnation(folder: Path, number: int) -> None:
    """Put a higher number of this start on the disk; the next start's is above it."""
    write_atomically(folder / INCARNATION_FILE, [f"{number}\n".encode()])


def _newest_first(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.facts.sequence, reverse=True)


def _readable(folder: Path) -> list[Entry]:
    """As ``list_checkpoints``, setting the others aside."""
    entries = []
    for path in checkpoint_paths(folder):
        try:
            entries.append(_read_entry(path))
        except StateError as error:
            _set_aside_corrupt(path, error)
    return _newest_first(entries)


def _read_entry(path: Path) -> Entry:
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            return Entry(path, read_facts(file, size_bytes), size_bytes)
    except OSError as error:
        raise disk_error("read", path, error) from error
    except StateError as error:
        raise StateError(error.what, where=path.name) from error


def _demand_same_run(entry: Entry, *, plan: bytes | None, parameters: int | None) -> None:
    found: Mapping[str, tuple[object, object]] = {
        "plan": (entry.facts.plan.hex(), None if plan is None else plan.hex()),
        "number of parameters": (entry.facts.parameters, parameters),
    }
    for what, (stored, wanted) in found.items():
        if wanted is not None and stored != wanted:
            raise ConfigError(
                f"the state folder holds a run with another {what}",
                where=str(entry.path.parent),
                facts=[f"stored at round {entry.facts.round}: {stored}; configured: {wanted}"],
                fix="restore the old configuration, use another --network or --home, or start with --fresh",
            )


def _delete_leftovers(folder: Path) -> None:
    for path in folder.glob(f"ckpt-*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            path.unlink()


def _set_aside_corrupt(path: Path, error: StateError) -> None:
    logger = logging.getLogger(__name__)
    log_event(logger, logging.WARNING, "checkpoint.corrupt", file=path.name, msg=error.what)
    try:
        path.rename(path.with_name(path.name + _CORRUPT_SUFFIX))
        for surplus in sorted(path.parent.glob(f"ckpt-*{_CORRUPT_SUFFIX}"))[:-KEPT_CORRUPT]:
            surplus.unlink()
    except OSError as failure:
        raise disk_error("set aside", path, failure) from failure
