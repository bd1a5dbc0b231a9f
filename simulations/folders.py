"""Folders that appear complete or not at all: written beside, then renamed; what is in them is checked.

A folder's ``marker`` is JSON, and lists the other files of the folder under ``files``.  A folder is replaced
only where every entry is one of these: what somebody else has put there is never deleted.
"""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from p2pfl.errors import ConfigError, StateError

Files = Mapping[str, bytes]

MAX_NAMED = 5  # entries named in one error


def write_folder(folder: Path, files: Files, *, marker: str, also: Collection[str] = ()) -> None:
    """Put a folder with these files at ``folder``, or where this link points to.

    One that is there is replaced when it holds ``marker``, the files that this lists, files named in
    ``also``, and nothing else; any other is left alone (ConfigError).  Raises StateError when the disk
    refuses.
    """
    folder = _replaceable(folder, marker, also)
    beside, aside = _beside(folder)
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


def check_folder(folder: Path, *, marker: str, also: Collection[str] = ()) -> None:
    """Raise ConfigError or StateError where ``write_folder`` would not write; leaves nothing behind."""
    folder = _replaceable(folder, marker, also)
    beside, _ = _beside(folder)
    made = [beside, *(parent for parent in folder.parents if not parent.exists())]
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise StateError(f"nothing can be written: {error.strerror}", where=str(folder)) from error
    finally:
        for each in made:
            with suppress(OSError):  # not made, or in use already
                each.rmdir()


def strangers(folder: Path, *, marker: str, also: Collection[str] = ()) -> list[Path]:
    """The entries of a folder that ``write_folder`` has not written; raises OSError if none can be read."""
    own = {marker, *also, *_listed(folder / marker)}
    return sorted(each for each in folder.iterdir() if each.name not in own or each.is_dir())


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


def _replaceable(folder: Path, marker: str, also: Collection[str]) -> Path:
    """The folder itself, without links on the way."""
    try:
        folder = folder.resolve()
        here = Path.cwd()
        found = strangers(folder, marker=marker, also=also) if folder.exists() else []
    except NotADirectoryError:
        raise ConfigError("this is no folder", where=str(folder), fix="name another folder") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        what = error.strerror if isinstance(error, OSError) else error
        raise StateError(f"cannot be read: {what}", where=str(folder)) from error
    if here.is_relative_to(folder):
        raise ConfigError(
            "the folder you are in cannot be replaced", where=str(folder), fix="name a folder in it"
        )
    if found:
        raise ConfigError(
            "the folder is there and holds something else",
            where=str(folder),
            facts=[_names(found)],
            fix="name another folder",
        )
    return folder


def _beside(folder: Path) -> tuple[Path, Path]:
    """Where the new content is written, and where the old goes."""
    mark = uuid4().hex
    new, old = (folder.with_name(f".{folder.name}.{mark}.{word}") for word in ("new", "old"))
    return new, old


def _listed(marker: Path) -> Collection[str]:
    try:
        found = json.loads(marker.read_bytes())
    except (OSError, ValueError):
        return ()
    listed = found.get("files") if isinstance(found, dict) else None
    return listed if isinstance(listed, dict) else ()


def _names(found: Collection[Path]) -> str:
    names = ", ".join(path.name for path in list(found)[:MAX_NAMED])
    return f"also there: {names}" + (f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else "")


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
