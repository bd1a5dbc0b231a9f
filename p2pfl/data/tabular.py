"""Tables with a label and, where one is named, an owner of each row: hospitals, devices, people.

What is missing is filled with the mean over the owner's own training rows, and numbers are scaled by the
mean and deviation of training rows, so that no test row has a say in what it is judged by.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.data.files import path_of, require_share
from p2pfl.data.npz import read_npz
from p2pfl.data.scaling import SCALES, prepared
from p2pfl.data.split import test_rows_by_owner
from p2pfl.data.table import MISSING, Table, read_csv
from p2pfl.errors import ConfigError, unknown_name

MAX_CLASSES = 1000
INCOMPLETE = ("impute", "drop")
WHOLE = re.compile(r"^(-?\d+)\.0*$")  # a whole number written with a point

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column is for; a column without a role is a feature."""

    label: str
    owner: str
    leave_out: tuple[str, ...]
    categories: tuple[str, ...]

    def features(self, table: Table) -> list[str]:
        """Columns that are numbers to learn from."""
        others = {self.label, self.owner, *self.leave_out, *self.categories}
        return [name for name in table.columns if name not in others]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one or more files: numbers [S, D] with NaN, text [S, C], labels and owners [S]."""

    numbers: Floats
    texts: NDArray[np.str_]
    labels: NDArray[np.str_]
    owner: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "Rows":
        """The chosen rows."""
        return Rows(self.numbers[rows], self.texts[rows], self.labels[rows], self.owner[rows])


def tabular(  # noqa: PLR0913 - the options of a table, each of which has its key in a config
    *,
    path: str | Sequence[str],
    label: str,
    owner: str = "",
    columns: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    categories: Sequence[str] = (),
    incomplete: str = "impute",
    positive_above: float | None = None,
    scale: str = "owner",
    test_path: str | Sequence[str] = (),
    test_share: float = 0.2,
) -> Dataset:
    """Rows [S, D] of one or more CSV or NPZ files; the classes are the distinct labels, in order.

    ``owner`` is a column; several files without it have one owner each, by the name of the file.
    ``columns`` names the columns of files whose first line does not.  ``categories`` become one input per
    value.  With ``positive_above`` the classes are "above" and "not above".  Rows with a missing cell are
    filled in or, with ``incomplete = "drop"``, left out.  ``scale`` by the rows of each ``owner``, of
    ``all``, or ``none``.  Test rows are ``test_share`` of each owner's, unless ``test_path`` names files.
    """
    _check_word("incomplete", incomplete, INCOMPLETE)
    _check_word("scale", scale, SCALES)
    require_share("test_share", test_share)
    roles = Roles(label, owner, _words("leave_out", leave_out), _words("categories", categories))
    names = _words("columns", columns)
    rows = _read(_words("path", path), roles, names)
    is_test = np.zeros(len(rows), dtype=np.bool_)
    if test_path:
        test = _read(_words("test_path", test_path), roles, names)
        is_test = np.arange(len(rows) + len(test)) >= len(rows)
        rows = _joined([rows, test])
    if incomplete == "drop":
        whole = _complete(rows)
        rows, is_test = rows.take(whole), is_test[whole]
    labels, classes = _classes(rows.labels, positive_above)
    if not test_path:
        is_test = test_rows_by_owner(labels, rows.owner, test_share)
    _check_both(is_test)
    inputs = prepared(rows.numbers, rows.texts, rows.owner, is_train=~is_test, scale=scale)
    owners = rows.owner if owner or len(np.unique(rows.owner[~is_test])) > 1 else None
    samples = Samples(inputs, labels, owners)
    return Dataset(
        train=samples.take(np.flatnonzero(~is_test)),
        test=samples.take(np.flatnonzero(is_test)),
        classes=classes,
    )


def _check_both(is_test: NDArray[np.bool_]) -> None:
    if is_test.all() or not is_test.any():
        raise ConfigError(
            f"{len(is_test)} complete rows leave none for {'training' if is_test.all() else 'tests'}",
            where="task.test_share",
        )


def _read(paths: Sequence[str], roles: Roles, names: Sequence[str]) -> Rows:
    """The rows of all files, whose columns must be the same."""
    if not paths:
        raise ConfigError("path names no file", where="task.path", fix='path = "table.csv"')
    tables = [_table(path_of(path), names) for path in paths]
    for table in tables:
        _check_columns(table, roles)
        if roles.features(table) != roles.features(tables[0]):
            raise ConfigError(
                f"{table.path} has other columns than {tables[0].path}", where="task.path", fix="leave_out"
            )
    is_one_owner_per_file = len(tables) > 1 and not roles.owner
    return _joined(
        [_rows(table, roles, table.path.stem if is_one_owner_per_file else "") for table in tables]
    )


def _table(path: Path, names: Sequence[str]) -> Table:
    if path.suffix == ".npz":
        return read_npz(path)
    return read_csv(path, names)


def _check_columns(table: Table, roles: Roles) -> None:
    optional = [roles.owner] if roles.owner else []
    for name in [roles.label, *optional, *roles.leave_out, *roles.categories]:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, where=str(table.path))
    if not roles.features(table) and not roles.categories:
        raise ConfigError("no column is left to learn from", where=str(table.path))


def _rows(table: Table, roles: Roles, owner: str) -> Rows:
    owners = _named(table, roles.owner) if roles.owner else [owner] * len(table)
    numbers = [table.numbers(name) for name in roles.features(table)]
    texts = [np.array([_plain(cell) for cell in table.texts(name)], np.str_) for name in roles.categories]
    return Rows(
        np.column_stack(numbers) if numbers else np.empty((len(table), 0)),
        np.column_stack(texts) if texts else np.empty((len(table), 0), dtype=np.str_),
        np.array(_named(table, roles.label), dtype=np.str_),
        np.array(owners, dtype=np.str_),
    )


def _plain(cell: str) -> str:
    """One spelling per category: the 1.0 of one file is the 1 of another."""
    return WHOLE.sub(r"\1", cell)


def _named(table: Table, name: str) -> list[str]:
    """A column in which no cell may be missing."""
    cells = table.texts(name)
    for row, cell in enumerate(cells):
        if cell in MISSING:
            raise table.wrong(row, name, expected="a value in every row", found=repr(cell))
    return cells


def _complete(rows: Rows) -> NDArray[np.int64]:
    """Numbers of the rows without a gap."""
    has_gap = np.isnan(rows.numbers).any(axis=1) | np.isin(rows.texts, list(MISSING)).any(axis=1)
    return np.flatnonzero(~has_gap)


def _joined(parts: Sequence[Rows]) -> Rows:
    return Rows(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.texts for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.owner for part in parts]),
    )


def _classes(labels: NDArray[np.str_], positive_above: float | None) -> tuple[NDArray[np.int64], int]:
    """Class numbers [S] and how many classes there are."""
    numbers = _as_numbers(labels)
    if positive_above is not None:
        if numbers is None:
            raise ConfigError("positive_above needs labels that are numbers", where="task.positive_above")
        return (numbers > positive_above).astype(np.int64), 2
    values, class_of = np.unique(labels if numbers is None else numbers, return_inverse=True)
    if not 2 <= len(values) <= MAX_CLASSES:
        raise ConfigError(
            f"the label has {len(values)} distinct values, expected 2 to {MAX_CLASSES}",
            where="task.label",
            fix="another column, or positive_above = … to make two classes of a number",
        )
    return class_of.astype(np.int64), len(values)


def _as_numbers(labels: NDArray[np.str_]) -> Floats | None:
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _check_word(option: str, found: object, known: Sequence[str]) -> None:
    if found not in known:
        raise ConfigError(
            f"{option} must be one of {', '.join(known)}, not {found!r}", where=f"task.{option}"
        )


def _words(option: str, found: object) -> tuple[str, ...]:
    """One word or several, as a tuple."""
    words = tuple(found) if isinstance(found, list | tuple) else (found,)
    if not all(isinstance(word, str) and word for word in words):
        raise ConfigError(f"{option} must be text or a list of texts", where=f"task.{option}")
    return words
