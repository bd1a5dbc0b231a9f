"""Columns from an NPZ file: the one place that may call ``numpy.load``, and never with pickles.

What an array's header claims is held against the archive's own size of it before anything is allocated.
"""

import io
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from p2pfl.data.files import DEFLATE_RATIO, MAX_CONTENT_BYTES, malformed, unreadable
from p2pfl.data.table import MAX_CELL_CHARACTERS, MAX_COLUMNS, Column, Table

KIND = "NPZ file"
SUFFIX = ".npy"
MAX_ARRAYS = 1024
END_MAGIC = b"PK\x05\x06"
END = struct.Struct("<4s4H2LH")
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What the standard library and numpy raise for bytes that are no archive or no array.
BROKEN = (ValueError, EOFError, KeyError, SyntaxError, NotImplementedError, RuntimeError, zlib.error)


def read_npz(path: Path) -> Table:
    """Arrays [S, ...] of equal length as columns; an array of more dimensions gives ``name.0``, ``name.1``, …

    Numbers and text only.  Raises ConfigError naming the file and the array.
    """
    try:
        arrays = _arrays(path)
    except zipfile.BadZipFile as error:
        raise malformed(KIND, str(path), expected="a whole archive", found=str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except BROKEN as error:
        found = f"{type(error).__name__}: {error}"
        raise malformed(KIND, str(path), expected="an archive of arrays", found=found) from error
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        raise malformed(KIND, str(path), expected="arrays of one length, from 1", found=f"{rows}")
    columns: dict[str, Column] = {}
    for name, array in arrays.items():
        columns.update(_columns(name, array))
    if len(columns) > MAX_COLUMNS:
        raise malformed(KIND, str(path), expected=f"at most {MAX_COLUMNS} columns", found=f"{len(columns)}")
    return Table(path, columns, range(len(next(iter(arrays.values())))), unit="row")


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    count = _check_end(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if not 0 < len(members) <= MAX_ARRAYS or len(members) != count:
            expected = f"1 to {MAX_ARRAYS} arrays, {count} by its last record"
            raise malformed(KIND, str(path), expected=expected, found=f"{len(members)}")
        total = sum(member.file_size for member in members)
        room = min(path.stat().st_size * DEFLATE_RATIO, MAX_CONTENT_BYTES)
        if total > room:
            raise malformed(KIND, str(path), expected=f"at most {room} bytes of arrays", found=f"{total}")
        for member in members:
            place = f"{path}, array {member.filename.removesuffix(SUFFIX)}"
            with archive.open(member) as stream:
                _check_header(stream, place, member.file_size)
    with np.load(path, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded.files}


def _check_end(path: Path) -> int:
    """How many arrays the archive's last record counts; refuse what does not lead up to it without a gap.

    ``zipfile`` looks for that record anywhere near the end, and takes a damaged list of members as shorter.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(-min(size, END.size), io.SEEK_END)
        record = stream.read()
    wanted = "the end of an archive without a gap"
    if len(record) < END.size:
        raise malformed(KIND, str(path), expected=wanted, found=f"{size} bytes")
    magic, disk, first_disk, here, count, listed, offset, comment = END.unpack(record)
    facts = (magic, disk, first_disk, here, offset + listed, comment)
    if facts != (END_MAGIC, 0, 0, count, size - END.size, 0):
        raise malformed(KIND, f"{path}, byte {size - END.size}", expected=wanted, found=record.hex())
    return int(count)


def _check_header(stream: IO[bytes], place: str, size: int) -> None:
    """Refuse an array that would be larger or smaller than what the archive holds of it."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise malformed(KIND, place, expected="version 1.0 or 2.0 of the format", found=f"{version}")
    shape, _, kind = HEADERS[version](stream)
    if kind.kind not in "biufU" or not shape:
        raise malformed(
            KIND, place, expected="a list of numbers or of text", found=f"{kind} of shape {shape}"
        )
    if kind.kind == "U" and kind.itemsize > 4 * MAX_CELL_CHARACTERS:
        expected = f"text of at most {MAX_CELL_CHARACTERS} characters"
        raise malformed(KIND, place, expected=expected, found=f"{kind.itemsize // 4}")
    claimed = math.prod(shape) * kind.itemsize
    held = size - stream.tell()
    if min(shape) < 0 or claimed != held:
        expected = f"{claimed} bytes for shape {shape} of {kind}"
        raise malformed(KIND, place, expected=expected, found=f"{held}")


def _columns(name: str, array: NDArray[np.generic]) -> dict[str, Column]:
    if array.ndim == 1:
        return {name: _column(array)}
    flat = array.reshape(len(array), -1)
    return {f"{name}.{place}": _column(flat[:, place]) for place in range(flat.shape[1])}


def _column(array: NDArray[np.generic]) -> Column:
    if array.dtype.kind == "U":
        cells: list[str] = array.tolist()
        return cells
    return array.astype(np.float64)
