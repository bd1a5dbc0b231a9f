"""Graphs by name, as a config or a command line asks for them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import networkx as nx

from p2pfl.errors import unknown_name
from topologies import FAMILIES, load

Make = Callable[..., nx.Graph]


@dataclass(frozen=True, slots=True)
class Family:
    """One line of the list of topologies: name, what for, options with their defaults."""

    name: str
    purpose: str
    options: Mapping[str, object]
    is_random: bool


def build(name: str, n: int, seed: int = 0, **options: object) -> nx.Graph:
    """The graph of the family ``name`` with ``n`` nodes; DiGraph for the one-way ones.

    ``name`` may be an import path ``module:attribute`` of a function of n, options and, perhaps, a seed.
    Raises ConfigError that says what would work.
    """
    make = maker(name)
    check_options(name, make, options)
    arguments = {**options, "seed": seed} if "seed" in _parameters(make) else options
    return make(n, **arguments)


def families() -> list[Family]:
    """All families, sorted by name."""
    return [_describe(name, maker(name)) for name in sorted(FAMILIES)]


def maker(name: str) -> Make:
    """The function that makes the graph ``name`` from a number of nodes."""
    if ":" in name:
        return cast(Make, load(name))
    if name not in FAMILIES:
        raise unknown_name("topology", name, FAMILIES)
    return cast(Make, load(FAMILIES[name]))


def check_options(name: str, make: Make, options: Mapping[str, object]) -> None:
    """Refuse options that ``make`` does not have, naming the ones that it has."""
    known = _options(make)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of topology {name!r}:", option, known or ["(none)"])


def _parameters(make: Make) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(make).parameters


def _options(make: Make) -> dict[str, object]:
    """Names and defaults of all parameters but the number of nodes, which stands first, and the seed."""
    after_the_first = list(_parameters(make).values())[1:]
    return {each.name: each.default for each in after_the_first if each.name != "seed"}


def _describe(name: str, make: Make) -> Family:
    purpose = (inspect.getdoc(make) or "").split("\n", maxsplit=1)[0].replace("``", "")
    return Family(name, purpose, _options(make), "seed" in _parameters(make))
