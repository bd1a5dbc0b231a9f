"""A result on the disk: facts as JSON, rows as Parquet (or CSV), arrays as safetensors, in one folder.

``result.json`` holds the facts, and the size and SHA-256 of every other file.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from p2pfl.errors import ConfigError, StateError
from simulations.extras import from_extra, has_parquet
from simulations.folders import check_folder, digest, read_intact, write_folder

FACTS = "result.json"
POINT_FILE = "point.json"  # what a sweep adds
FORMAT = 1
ROWS = (".parquet", ".csv")
ARRAYS = ".safetensors"

Rows: TypeAlias = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Stored:
    """What one folder holds: plain facts, tables of rows and arrays, each by name."""

    facts: Mapping[str, object]
    tables: Mapping[str, Rows]
    arrays: Mapping[str, NDArray[np.generic]]


def write_stored(folder: Path, stored: Stored) -> None:
    """Write it, whole or not at all; raises StateError, or ConfigError for a folder of somebody else's."""
    suffix, write = (ROWS[0], _to_parquet) if has_parquet() else (ROWS[1], _to_csv)
    files = {f"{name}{suffix}": write(rows) for name, rows in stored.tables.items()}
    for name, array in stored.arrays.items():
        files[f"{name}{ARRAYS}"] = save({name: np.ascontiguousarray(array)})
    facts = {
        "format": FORMAT,
        **stored.facts,
        "files": {name: digest(content) for name, content in files.items()},
    }
    files[FACTS] = (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()
    write_folder(folder, files, marker=FACTS, also=(POINT_FILE,))


def check_writable(folder: Path) -> None:
    """Raise, before a long run, what ``write_stored`` would: ConfigError or StateError."""
    check_folder(folder, marker=FACTS, also=(POINT_FILE,))


def is_whole(folder: Path) -> bool:
    """Whether there is a result whose files have their sizes; their content is seen as they are read."""
    try:
        listed = _facts(folder / FACTS).get("files")
        return isinstance(listed, dict) and all(
            isinstance(written, dict) and (folder / Path(name).name).stat().st_size == written.get("bytes")
            for name, written in listed.items()
        )
    except (ConfigError, StateError, OSError):
        return False


def read_stored(folder: Path) -> Stored:
    """Read it; raises ConfigError where there is no result, StateError where it is damaged."""
    facts = _facts(folder / FACTS)
    tables: dict[str, Rows] = {}
    arrays: dict[str, NDArray[np.generic]] = {}
    listed = facts.pop("files", None)
    if not isinstance(listed, dict) or facts.pop("format", None) != FORMAT:
        raise _no_result(folder, f"{FACTS} is not what a result of this version holds")
    for file_name, expected in listed.items():
        path = folder / Path(file_name).name
        content = read_intact(path, expected)
        if path.suffix == ARRAYS:
            arrays[path.stem] = _array(content, path)
        else:
            tables[path.stem] = _from_csv(content) if path.suffix == ".csv" else _from_parquet(content)
    return Stored(facts, tables, arrays)


def _facts(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _no_result(
            path.parent, f"it has no {FACTS}" if path.parent.is_dir() else "there is no such folder"
        ) from error
    except OSError as error:
        raise StateError(f"cannot read the result: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise StateError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(found, dict):
        raise _no_result(path.parent, f"{FACTS} holds no table")
    return found


def _no_result(folder: Path, why: str) -> ConfigError:
    return ConfigError(
        "this is no result of an experiment",
        where=str(folder),
        facts=[why],
        fix="name a folder of Result.save",
    )


def _array(content: bytes, path: Path) -> NDArray[np.generic]:
    try:
        found: NDArray[np.generic] = load(content)[path.stem]
    except (SafetensorError, KeyError) as error:
        raise StateError(f"not the array that a result has: {error}", where=str(path)) from error
    return found


def _to_parquet(rows: Rows) -> bytes:
    return cast(Callable[[Rows], bytes], from_extra("simulations.parquet:to_parquet"))(rows)


def _from_parquet(content: bytes) -> Rows:
    return cast(Callable[[bytes], Rows], from_extra("simulations.parquet:from_parquet"))(content)


def _to_csv(rows: Rows) -> bytes:
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _from_csv(content: bytes) -> Rows:
    reader = csv.DictReader(StringIO(content.decode()))
    return [{key: _value(text) for key, text in row.items()} for row in reader]


def _value(text: str) -> int | float | None:
    """Nothing, a whole number, or another number: ``repr`` of a float is never digits alone."""
    if not text:
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)
