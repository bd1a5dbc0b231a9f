"""This node's training rows: its part of the task's data set, or a file of its own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from node_daemon.sections import Settings
from p2pfl import registry
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.data.feature_noise import held_samples
from p2pfl.errors import ConfigError

MAX_FILE_BYTES = 1 << 32

Partition: TypeAlias = Callable[..., list[NDArray[np.int64]]]


def training_rows(settings: Settings, dataset: Dataset) -> Samples:
    """The rows that ``[data]`` gives this node; all of them when it says nothing.

    Raises ConfigError for a file that is missing or malformed, or a partition that cannot be made.
    """
    data = settings.data
    if data.path is not None:
        return read_table(Path(data.path), dataset)
    if data.part is None or data.parts is None:
        return dataset.train
    partition = cast(Partition, registry.resolve("partition", data.partition))
    seed = settings.network.seed if data.seed is None else data.seed
    try:
        rows = partition(dataset.train, data.parts, seed, **data.options)
    except ConfigError as error:
        option = error.where.removeprefix("data.")
        error.where = f"data.options.{option}" if option in data.options else error.where
        raise
    if data.part >= len(rows):  # a natural split has as many parts as owners
        raise ConfigError(
            f"there is no part {data.part}: {data.partition} gives {len(rows)}", where="data.part"
        )
    return held_samples(partition, dataset.train, rows, part=data.part, seed=seed, options=data.options)


def words(settings: Settings) -> str:
    """What the rows are, for people."""
    data = settings.data
    if data.path is not None:
        return data.path
    if data.part is None:
        return "all of it"
    return f"part {data.part} of {data.parts}, {data.partition}"


def read_table(path: Path, dataset: Dataset) -> Samples:
    """Rows of comma-separated numbers, the label last, in the shape of the task's own data.

    A first line that is no row of numbers is taken for a heading.
    """
    width = int(np.prod(dataset.train.inputs.shape[1:])) + 1
    skipped = 0
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"the data file is larger than {MAX_FILE_BYTES} bytes", where=str(path))
        with path.open(encoding="utf-8") as file:
            skipped = 0 if _is_row(file.readline()) else 1
            if not file.readline() and skipped:
                raise _malformed(path, "it has no row of numbers")
        table = np.loadtxt(path, delimiter=",", skiprows=skipped, ndmin=2, dtype=np.float64, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read the data file: {error.strerror}",
            where=f"data.path = {path}",
            fix="correct data.path",
        ) from error
    except ValueError as error:
        raise _malformed(path, _place(error, skipped)) from error
    if table.shape[1] != width or not len(table):
        raise _malformed(
            path, f"it has {len(table)} rows of {table.shape[1]} columns, expected {width} columns"
        )
    if not np.isfinite(table).all():
        raise _malformed(path, "it holds a number that is not finite")
    labels = table[:, -1].astype(np.int64)
    if (labels != table[:, -1]).any() or labels.min() < 0 or labels.max() >= dataset.classes:
        raise _malformed(
            path,
            f"labels, in the last column, are whole numbers from 0 to {dataset.classes - 1}, "
            f"found {_strange_label(table[:, -1], dataset.classes):g}",
        )
    inputs = table[:, :-1].astype(np.float32)
    return Samples(inputs.reshape(len(table), *dataset.train.inputs.shape[1:]), labels)


def _is_row(line: str) -> bool:
    try:
        return bool([float(cell) for cell in line.split(",")])
    except ValueError:
        return False


def _place(error: ValueError, skipped: int) -> str:
    """Where in the file the reader of numbers gave up: it counts rows from 0, and from the heading on."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text (UTF-8)"
    found = re.search(r"convert string (.*) to \S+ at row (\d+), column (\d+)", str(error))
    if found is None:
        return str(error)
    return f"{found[1]} is not a number: line {int(found[2]) + 1 + skipped}, column {found[3]}"


def _strange_label(labels: NDArray[np.float64], classes: int) -> float:
    is_strange = (labels != np.floor(labels)) | (labels < 0) | (labels >= classes)
    return float(labels[is_strange][0])


def _malformed(path: Path, fact: str) -> ConfigError:
    return ConfigError(
        "the data file does not fit the task",
        where=f"data.path = {path}",
        facts=[fact],
        fix="one row per sample: the inputs, then the label, separated by commas",
    )
