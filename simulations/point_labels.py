"""What to call the points of a sweep: the options in which they differ, ``degree=4 seed=0``."""

from collections.abc import Iterator, Sequence

from p2pfl.errors import ConfigError
from simulations.plain_data import Plain, Table, text_of

MAX_VALUE_CHARACTERS = 24  # longer values are numbered


def labels(tables: Sequence[Table]) -> list[str]:
    """What sets each point apart, ``degree=4 seed=0``; raises ConfigError where two are the same."""
    flat = [dict(_flat(table)) for table in tables]
    keys = list(dict.fromkeys(key for row in flat for key in row))
    missing = object()
    varying = [key for key in keys if len({text_of(row.get(key, missing)) for row in flat}) > 1]
    short = _short_names(varying)
    texts = {key: _value_texts([row.get(key) for row in flat]) for key in varying}
    numbers: dict[str, int] = {}
    for number, row in enumerate(flat, start=1):
        words = [f"{short[key]}={texts[key][text_of(row[key])]}" for key in varying if key in row]
        label = " ".join(words) or ("default" if len(flat) > 1 else "experiment")
        if label in numbers:
            raise ConfigError(
                f"points {numbers[label]} and {number} of the sweep are the same: {label}",
                fix="list each value once",
            )
        numbers[label] = number
    return list(numbers)


def is_graph(value: Plain) -> bool:
    """Is it a graph written out, with its ``edges``?"""
    return isinstance(value, dict) and "edges" in value and "name" not in value


def _flat(table: Table, prefix: str = "") -> Iterator[tuple[str, Plain]]:
    """Every value with its dotted key; a name in a table counts as the table's own value."""
    for key, value in table.items():
        where = f"{prefix}{key}"
        if isinstance(value, dict) and value and not is_graph(value):
            yield from _flat(value, f"{where}.")
        elif prefix and key == "name":
            yield prefix[:-1], value
        else:
            yield where, value


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def _value_texts(values: Sequence[Plain]) -> dict[str, str]:
    """How each value is written in labels; long ones are numbered as they come."""
    distinct = dict.fromkeys(text_of(value) for value in values)
    return {
        text: text.strip('"') if len(text) <= MAX_VALUE_CHARACTERS else f"#{number}"
        for number, text in enumerate(distinct, start=1)
    }
