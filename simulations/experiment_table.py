"""An experiment's arguments as a table of plain data, and back: what a file and a result hold."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date

import networkx as nx

from p2pfl.errors import ConfigError, unknown_name
from simulations.faults import Faults
from simulations.gossip import Gossip
from simulations.graph_tables import graph_table
from simulations.network import Network
from simulations.plain_data import Plain, Table, plain

NAMED = frozenset({"topology", "protocol", "task", "partition", "membership"})
TABLES = frozenset({"network", "faults"})
TEXTS = frozenset({"engine", "device", "dtype", "trust"})
CHOICES = frozenset({"protocol", "partition"})  # of which Python has no objects
REQUIRED = CHOICES | TEXTS | {"task"}  # never None


def arguments(table: Mapping[str, object], known: Iterable[str]) -> dict[str, object]:
    """The table as keyword arguments; raises ConfigError for an unknown key or a value of a wrong kind."""
    names = list(known)
    for key, value in table.items():
        if key not in names:
            raise unknown_name("key", str(key), names, where=str(key))
        check_kind(key, value)
    return dict(table)


def table_of(values: Mapping[str, object]) -> Table:
    """Arguments as a table, unset ones left out; raises ConfigError for what no file can hold."""
    return {key: _written(key, value) for key, value in values.items() if value is not None}


def described(values: Mapping[str, object]) -> Table:
    """As ``table_of``, with words for what no file can hold."""
    return {key: _described(key, value) for key, value in values.items() if value is not None}


def check_kind(key: str, value: object) -> None:
    """Refuse a value of a wrong kind, naming its key; what is inside of it is looked at elsewhere."""
    if isinstance(value, list) and key not in TABLES:
        raise ConfigError(
            f"{key} is a list: a sweep over {len(value)} values, not one experiment",
            where=key,
            fix="p2pnode sim run FILE.toml runs sweeps",
        )
    if value is None and key not in REQUIRED:
        return
    is_choice = isinstance(value, str | Mapping)
    is_no_object = key in CHOICES or value is None or isinstance(value, bool | int | float | list | date)
    if key in NAMED and is_no_object and not is_choice:
        words = "a name, or a table with a name and options"
    elif key in TABLES and not isinstance(value, Mapping | Network | Faults):
        words = "a table"
    elif key in TEXTS and not isinstance(value, str):
        words = "a text"
    elif key == "batched" and not isinstance(value, bool):
        words = "true or false"
    else:
        return
    raise ConfigError(f"{key} must be {words}, not {value!r}", where=key)


def _written(key: str, value: object) -> Plain:
    match value:
        case nx.Graph():
            return graph_table(value)
        case Network():
            return plain(_changed(value), key)
        case Gossip() if not value.late:
            return plain({"name": "gossip", **_changed(value)}, key)
        case _:
            return _plain(key, value)


def _changed(value: Network | Gossip) -> dict[str, object]:
    """The fields that are not as by default."""
    shown = ((field.name, getattr(value, field.name), field.default) for field in fields(value) if field.repr)
    return {name: found for name, found, default in shown if found != default}


def _plain(key: str, value: object) -> Plain:
    try:
        return plain(value, key)
    except ConfigError as error:
        raise ConfigError(
            f"{key} holds an object of Python's ({type(value).__name__}), which no file can hold",
            where=error.where or key,
            fix="name own code by its import path: module:attribute",
        ) from error


def _described(key: str, value: object) -> Plain:
    try:
        return _written(key, value)
    except ConfigError:
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
