"""Rows and named columns from a CSV file, every cell where it should be.

The first line names the columns unless the caller does.  Rows with one cell more than there are names begin
with the name of the row, as R writes them; that column is called ``row``.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.files import malformed, read_text
from p2pfl.errors import ConfigError

MAX_CELL_CHARACTERS = 256  # one long cell would make every cell of an array as long
MAX_COLUMNS = 100_000
MISSING = frozenset({"", "?", "NA", "NaN", "nan"})
ROW_NAMES = "row"
KIND = "CSV file"

Column: TypeAlias = Sequence[str] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns by name, of equal length; ``lines`` says where each row stands in its file."""

    path: Path
    columns: Mapping[str, Column]
    lines: Sequence[int]
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.lines)

    def texts(self, name: str) -> list[str]:
        """A column's cells as they stand."""
        column = self.columns[name]
        return [f"{cell:.17g}" for cell in column] if isinstance(column, np.ndarray) else list(column)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where one is missing; raises ConfigError naming line and column."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            found = column
        else:
            found = np.array([_number(cell) for cell in column], dtype=np.float64)
        if len(wrong := np.flatnonzero(np.isinf(found))):
            row = int(wrong[0])
            raise self.wrong(row, name, expected="a finite number", found=repr(self.texts(name)[row]))
        return found

    def wrong(self, row: int, name: str, *, expected: str, found: str) -> ConfigError:
        """The error for the cell of a column in a row."""
        place = f"{self.path}, {self.unit} {self.lines[row]}, column {name}"
        return malformed("table", place, expected=expected, found=found)


def read_csv(path: Path, names: Sequence[str] = ()) -> Table:
    """The whole file; ``names`` are its columns where no first line names them.  Raises ConfigError."""
    text = read_text(path, kind=KIND)
    if not text.endswith("\n"):
        last = text.count("\n") + 1
        raise malformed(KIND, f"{path}, line {last}", expected="a line end", found="the end of the file")
    lines = _lines(path, text)
    heading = list(names) if names else next(lines, (1, []))[1]
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number, cells in lines:
        if not rows and len(cells) == len(heading) + 1 and not names:
            heading = [ROW_NAMES, *heading]
        if len(cells) != len(heading):
            place = f"{path}, line {number}"
            raise malformed(KIND, place, expected=f"{len(heading)} cells", found=f"{len(cells)}")
        rows.append(cells)
        numbers.append(number)
    _check_heading(path, heading)
    if not rows:
        raise malformed(KIND, str(path), expected="rows below the names of the columns", found="none")
    return Table(path, dict(zip(heading, map(list, zip(*rows, strict=True)), strict=True)), numbers)


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line; a cell in quotes may go on over several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            _check_cells(f"{path}, line {reader.line_num}", cells)
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise malformed(KIND, place, expected="cells separated by commas", found=str(error)) from error


def _check_cells(place: str, cells: Sequence[str]) -> None:
    if len(cells) > MAX_COLUMNS:
        raise malformed(KIND, place, expected=f"at most {MAX_COLUMNS} cells", found=f"{len(cells)}")
    longest = max(map(len, cells), default=0)
    if longest > MAX_CELL_CHARACTERS:
        expected = f"cells of at most {MAX_CELL_CHARACTERS} characters"
        raise malformed(KIND, place, expected=expected, found=f"one of {longest}")


def _check_heading(path: Path, heading: Sequence[str]) -> None:
    twice = sorted({name for name in heading if heading.count(name) > 1})
    if twice or not heading:
        raise malformed(KIND, f"{path}, line 1", expected="a name for each column, once", found=str(twice))


def _number(cell: str) -> float:
    """NaN where it is missing, infinite where it is no number."""
    if cell in MISSING:
        return math.nan
    try:
        found = math.inf if "_" in cell else float(cell)  # Python would read 1_000 as a number
    except ValueError:
        return math.inf
    return found if math.isfinite(found) else math.inf
