"""Folders that appear complete or not at all: written beside, then renamed; what is in them is checked."""

import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from p2pfl.errors import ConfigError, StateError

Files = Mapping[str, bytes]


def write_folder(folder: Path, files: Files, *, marker: str) -> None:
    """Put a folder with these files at ``folder``.

    One that is there is replaced when it is empty or holds ``marker``; any other is left alone (ConfigError).
    Raises StateError when the disk refuses.
    """
    check_folder(folder, marker=marker)
    mark = uuid4().hex
    beside, aside = (folder.with_name(f".{folder.name}.{mark}.{word}") for word in ("new", "old"))
    try:
        beside.mkdir(parents=True)
        for name, content in files.items():
            _write(beside / name, content)
        if folder.exists():
            folder.rename(aside)
        beside.rename(folder)
    except OSError as error:
        raise StateError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def check_folder(folder: Path, *, marker: str) -> None:
    """Raise ConfigError where ``write_folder`` would not write."""
    if folder.exists() and not _may_go(folder, marker):
        raise ConfigError(
            "the folder is there and holds something else", where=str(folder), fix="name another folder"
        )


def digest(content: bytes) -> dict[str, object]:
    """What tells whether a file is what was written."""
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def read_intact(path: Path, expected: object) -> bytes:
    """The content of a file whose ``digest`` is known; raises StateError for any other."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"a part of the result is missing: {error.strerror}", where=str(path)) from error
    found = digest(content)
    if found != expected:
        size = expected.get("bytes") if isinstance(expected, Mapping) else None
        what = "is truncated" if isinstance(size, int) and found["bytes"] != size else "has been changed"
        raise StateError(
            f"the file {what}", where=str(path), facts=[f"{found['bytes']} bytes, written with {size}"]
        )
    return content


def _may_go(folder: Path, marker: str) -> bool:
    return folder.is_dir() and ((folder / marker).is_file() or not any(folder.iterdir()))


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
