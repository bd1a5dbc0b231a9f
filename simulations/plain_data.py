"""Plain data, as JSON and TOML have it, and its one form as text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from p2pfl.errors import ConfigError

# Null, truth values, numbers, texts, lists and tables with texts as keys.
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Table: TypeAlias = dict[str, Plain]


def plain(found: object, where: str) -> Plain:
    """A value as plain data, numbers and arrays of numpy included; raises ConfigError for anything else."""
    match found:
        case np.ndarray() | np.generic():
            return plain(found.tolist(), where)
        case Mapping():
            return {str(key): plain(value, f"{where}.{key}") for key, value in found.items()}
        case list() | tuple() | range():
            return [plain(each, where) for each in found]
        case _:
            return _single(found, where)


def _single(found: object, where: str) -> Plain:
    if found is None or isinstance(found, bool):
        return found
    for kind in (int, float, str):  # the plain one, also of a subclass
        if isinstance(found, kind):
            return kind(found)
    if isinstance(found, Path):
        return str(found)
    raise ConfigError(
        f"a sweep takes plain data, no {type(found).__name__}",
        where=where,
        fix='name it: a graph by {"name": "file", "path": …}, own code by "module:attribute"',
    )


def text_of(value: object) -> str:
    """The canonical text of a value: equal for equal data, whatever the order of keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr)
