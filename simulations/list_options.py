"""Which options take a list by nature, so that a list of them is one value and no sweep."""

import inspect
import re
from collections.abc import Callable
from typing import cast

from p2pfl import registry
from p2pfl.errors import ConfigError
from simulations.faults import VERBS
from topologies.catalogue import maker

KINDS = ("protocol", "task", "partition")  # whose options are parameters of what a name stands for
SEQUENCE = re.compile(r"\b(Sequence|Collection|Iterable|list|tuple|set|frozenset)\b")
LISTS_OF_A_FAULT = ("nodes", "groups", "from", "to")


def takes_list(key: str, name: object, option: str) -> bool:
    """Is a list one value of this option, in the table of ``key`` with this ``name``?

    Raises ConfigError where the name is unknown.
    """
    if key == "faults":
        return option in VERBS
    if not isinstance(name, str):
        return False
    try:
        makers = _makers(key, name)
    except ConfigError as error:
        error.where = error.where or key
        raise
    parameters = [inspect.signature(make).parameters.get(option) for make in makers]
    return any(each is not None and _is_sequence(each.annotation) for each in parameters)


def check_fault_lines(where: str, value: object) -> None:
    """Refuse a sweep inside a line of ``faults``, where a list of nodes would look the same."""
    if not where.startswith("faults.") or not isinstance(value, list):
        return
    for line in value:
        for option, found in line.items() if isinstance(line, dict) else ():
            if isinstance(found, list) and option not in LISTS_OF_A_FAULT:
                raise ConfigError(
                    f"{option} takes one value, not {found!r}",
                    where=f"{where}.{option}",
                    fix=f"to sweep, list whole values: {where.partition('.')[2]} = [[{{ … }}], [{{ … }}]]",
                )


def _makers(key: str, name: str) -> list[Callable[..., object]]:
    if key == "topology":
        return [maker(name)]
    if key == "task" and name in registry.TABLES["dataset"]:
        return [cast(Callable[..., object], registry.resolve("dataset", name))]  # without torch
    if key in KINDS:
        return [cast(Callable[..., object], registry.resolve(key, name))]
    return []


def _is_sequence(annotation: object) -> bool:
    return SEQUENCE.search(str(annotation)) is not None
