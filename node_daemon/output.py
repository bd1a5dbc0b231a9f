"""How commands speak: data on stdout, as text or as one JSON object; errors on stderr in one form."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from node_daemon.control_client import Json
from p2pfl.errors import P2PError

SCHEMA_VERSION = 1
MIN_LAST_COLUMN = 24  # characters; a table with less left for its last column becomes a list


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found, for programs (``data``) and for people (``text``)."""

    data: Mapping[str, object]
    text: str


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer on stdout."""
    if as_json:
        print_json(answer.data)
    elif answer.text:
        sys.stdout.write(answer.text.rstrip("\n") + "\n")


def print_json(data: Mapping[str, object]) -> None:
    """Exactly one object, with the version of its form; NaN and infinity, which JSON has not, are null."""
    fields = _with_nulls({"schema_version": SCHEMA_VERSION, **data})
    sys.stdout.write(json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n")


def _with_nulls(found: object) -> object:
    match found:
        case float() if not isfinite(found):
            return None
        case dict():
            return {key: _with_nulls(value) for key, value in found.items()}
        case list() | tuple():
            return [_with_nulls(value) for value in found]
        case _:
            return found


def show_error(error: P2PError, *, as_json: bool) -> None:
    """Print an error: on stderr for people, as one object on stdout for programs."""
    errors = all_of(error)
    if as_json:
        fields: dict[str, Json] = error_fields(error)
        if len(errors) > 1:
            fields["others"] = [error_fields(other) for other in errors[1:]]
        print_json({"error": fields})
        return
    sys.stderr.write("".join(error_text(each) for each in errors))


def all_of(error: P2PError) -> Sequence[P2PError]:
    """The errors that one stands for, itself included."""
    several = getattr(error, "errors", ())
    return several or (error,)


def error_text(error: P2PError) -> str:
    """``error: WHAT (WHERE)``, indented facts, then the fix."""
    lines = [f"error: {error}", *(f"  {fact}" for fact in error.facts)]
    if error.fix:
        lines.append(f"  fix: {error.fix}")
    return "\n".join(lines) + "\n"


def error_fields(error: P2PError) -> dict[str, Json]:
    """An error as an object: code (the exit code), what, where, facts, fix."""
    return {
        "code": error.exit_code,
        "what": error.what,
        "where": error.where,
        "facts": list(error.facts),
        "fix": error.fix,
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Columns of text, aligned, two blanks between them.

    Where ``width`` characters (by default the terminal's) are not enough the last column is broken, or every
    row becomes a list of its own.
    """
    cells, widths = _measured(columns, rows)
    limit = terminal_width() if width is None else width
    before = sum(widths[:-1]) + 2 * (len(columns) - 1)
    if limit is None or before + widths[-1] <= limit:
        return "\n".join(line for row in cells for line in _lines(row, widths, widths[-1]))
    if limit - before >= min(MIN_LAST_COLUMN, widths[-1]):
        return "\n".join(line for row in cells for line in _lines(row, widths, limit - before))
    return "\n\n".join(_as_list(columns, row) for row in cells[1:])


def fits(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether the terminal has room for every row, with at most the last column broken."""
    _, widths = _measured(columns, rows)
    limit = terminal_width()
    before = sum(widths[:-1]) + 2 * (len(columns) - 1)
    return limit is None or before + min(MIN_LAST_COLUMN, widths[-1]) <= limit


def _measured(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> tuple[list[list[str]], list[int]]:
    """All cells, the heads first, and how wide each column is."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    return cells, [max(len(row[i]) for row in cells) for i in range(len(columns))]


def terminal_width() -> int | None:
    """What fits in a line: $COLUMNS, or the terminal's width; None where the output is neither."""
    if not os.environ.get("COLUMNS", "").isdigit() and not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _lines(row: Sequence[str], widths: Sequence[int], last: int) -> list[str]:
    """One row; what does not fit into its last column goes on below."""
    head = "".join(cell.ljust(width) + "  " for cell, width in zip(row[:-1], widths[:-1], strict=True))
    first, *others = textwrap.wrap(row[-1], last) or [""]
    return [f"{head}{first}".rstrip(), *(" " * len(head) + other for other in others)]


def _as_list(columns: Sequence[str], row: Sequence[str]) -> str:
    """One row, a line per column."""
    widest = max(len(column) for column in columns)
    return "\n".join(f"{column:<{widest}}  {cell}" for column, cell in zip(columns, row, strict=True))


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}"
        case _:
            return str(value)


def duration(seconds: float) -> str:
    """``8 s``, ``12 min``, ``2 h 14 min``, ``3 d 4 h``."""
    minutes = int(seconds // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def rate(bytes_per_s: float) -> str:
    """``3.4 MB/s`` in SI units."""
    value, unit = bytes_per_s, "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}/s" if unit == "B" else f"{value:.1f} {unit}/s"
