"""The points of a sweep: every combination of the values that an experiment's table lists.

A list is a sweep, wherever it stands: ``seed = [0, 1, 2]``, ``topology = ["ring", {name = "partial_mesh",
degree = [4, 8]}]``, ``network = {loss = [0.0, 0.2]}``.  Points stand in the order of the table: what is
written first varies slowest.

Options that take a list by nature (``simulations.list_options``: the verbs of ``faults``, ``columns`` of the
task ``tabular``, whatever a protocol, topology, task or partition declares as a sequence) keep it; a list of
lists sweeps them: ``columns = [["age"], ["age", "weight"]]``, ``crash = [[], [{node = 3, at_s = 20.0}]]``.
A list that holds both is refused, and so is a list of lists anywhere else.  A graph written out,
``{nodes = 3, edges = [[0, 1], [1, 2]]}``, is one value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from typing import TypeAlias

from p2pfl.errors import ConfigError
from simulations.list_options import check_fault_lines, takes_list
from simulations.plain_data import Plain, Table, plain, text_of
from simulations.point_labels import is_graph, labels

MAX_POINTS = 100_000
MAX_SHOWN_CHARACTERS = 40  # of a value in an error

IsList: TypeAlias = Callable[[str], bool]  # does the option of this name take a list?


@dataclass(frozen=True, slots=True)
class Point:
    """One experiment of a sweep: its table, without anything to sweep, and what sets it apart."""

    label: str
    table: Table


def points(table: Mapping[str, object]) -> list[Point]:
    """All points of the table of a sweep, in order, each with its own label.

    Raises ConfigError, naming the key, for a list where none can be, an empty one, the same value twice, and
    for more than ``MAX_POINTS`` points.
    """
    tables = _product({key: _of_option(key, plain(value, key)) for key, value in table.items()}, where="")
    return [Point(label, table) for label, table in zip(labels(tables), tables, strict=True)]


def _of_option(key: str, value: Plain) -> list[Plain]:
    """The values that an option of the experiment takes, one after the other."""
    if isinstance(value, list):
        return _listed(value, key, lambda each: _of_option(key, each))
    if not isinstance(value, dict) or is_graph(value):
        return [value]
    names = _values(value["name"], f"{key}.name", _never) if "name" in value else [None]
    found: list[Plain] = []
    for name in names:
        one = value if name is None else {**value, "name": name}
        found += _of_table(one, key, partial(takes_list, key, name))
    return found


def _of_table(table: Table, where: str, is_list: IsList) -> list[Table]:
    values = {option: _values(value, f"{where}.{option}", is_list) for option, value in table.items()}
    return _product(values, where)


def _product(values: Mapping[str, list[Plain]], where: str) -> list[Table]:
    count = prod(len(each) for each in values.values())
    if count > MAX_POINTS:
        facts = [f"{key}: {len(each)} values" for key, each in values.items() if len(each) > 1]
        raise ConfigError(f"a sweep of {count} points; at most {MAX_POINTS}", where=where, facts=facts)
    return [dict(zip(values, found, strict=True)) for found in product(*values.values())]


def _values(value: Plain, where: str, is_list: IsList) -> list[Plain]:
    if isinstance(value, dict):
        return [*_of_table(value, where, _never)]
    if not isinstance(value, list):
        return [value]
    if not is_list(where.rpartition(".")[2]):
        return _listed(value, where, lambda each: _values(each, where, _never))
    wholes = [each for each in value if isinstance(each, list)]
    if not wholes:
        found: list[Plain] = [value]
    elif len(wholes) == len(value):
        found = list(value)
    else:
        raise ConfigError(
            f"{where} mixes lists and single values: {_shown(value)}",
            where=where,
            fix=f"one list is a value, a list of lists a sweep: [{_shown(wholes[0])}, …]",
        )
    for each in found:
        check_fault_lines(where, each)
    return found


def _listed(value: list[Plain], where: str, values: Callable[[Plain], list[Plain]]) -> list[Plain]:
    if not value:
        raise ConfigError(
            f"{where} = [] leaves nothing to run", where=where, fix="list a value, or leave it out"
        )
    for each in value:
        if isinstance(each, list):
            raise ConfigError(
                f"{where} holds a list in a list: {_shown(each)}",
                where=where,
                fix=f"{where.rpartition('.')[2]} takes no list; write each value once",
            )
    return [found for each in value for found in values(each)]


def _never(option: str) -> bool:  # noqa: ARG001 - as ``IsList`` has it
    return False


def _shown(value: Plain) -> str:
    text = text_of(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
