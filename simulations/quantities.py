"""Quantities that differ from link to link: a number, a distribution, a table per edge, or a function.

As plain data, so that a config may hold them:

* ``0.05``: the same everywhere;
* ``{"distribution": "uniform", "low": 0.01, "high": 0.2}``, ``{"distribution": "lognormal", "median": 0.05,
  "sigma": 0.5}``, ``{"distribution": "constant", "value": 0.05}``: drawn once per directed link;
* ``{"default": 0.05, "0->3": 0.4, "1--2": 0.01}``: per edge, one way or both ways, by node numbers;
* from Python also a function ``(sender number, receiver number) -> value``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, inf, isnan
from typing import TypeAlias

import numpy as np

from p2pfl.errors import ConfigError, unknown_name

Amount: TypeAlias = float | Mapping[str, object] | Callable[[int, int], float]
Drawn: TypeAlias = Callable[[np.random.Generator], float]

SHAPES: Mapping[str, tuple[str, ...]] = {
    "constant": ("value",),
    "lognormal": ("median", "sigma"),
    "uniform": ("low", "high"),
}
EDGE = re.compile(r"(\d+)(->|--)(\d+)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value may be, in numbers and in words."""

    low: float
    high: float
    words: str
    excludes_ends: bool = False

    def demand(self, found: object, where: str) -> float:
        """The number, or a ConfigError that names the key."""
        if is_number(found) and self._allows(found):  # type: ignore[arg-type]
            return found  # type: ignore[return-value]
        key = where.rpartition(".")[2]
        raise ConfigError(f"{key} = {found!r} is not possible; allowed: {self.words}", where=where)

    def _allows(self, value: float) -> bool:
        if isnan(value):
            return False
        if self.excludes_ends:
            return self.low < value <= self.high
        return self.low <= value <= self.high and value != inf


SECONDS = Limits(0.0, inf, "0 or more seconds")
PROBABILITY = Limits(0.0, 1.0, "0 to 1")


class Quantity:
    """A value per directed link; ``is_random`` when it is drawn."""

    __slots__ = ("_by_edge", "_default", "_function", "_limits", "_where", "is_random")

    def __init__(self, found: object, *, where: str, limits: Limits) -> None:
        self._where = where
        self._limits = limits
        self._by_edge: Mapping[tuple[int, int], float] = {}
        self._function: Callable[[int, int], object] | None = None
        if callable(found):
            self._function, found = found, limits.low
            self._default: float | Drawn = 0.0
        elif isinstance(found, Mapping) and "distribution" not in found:
            self._by_edge = _edges(found, where=where, limits=limits)
            self._default = _one_for_all(found.get("default"), where=f"{where}.default", limits=limits)
        else:
            self._default = _one_for_all(found, where=where, limits=limits)
        self.is_random = callable(self._default)

    def of(self, sender: int, receiver: int, random: np.random.Generator | None = None) -> float:
        """The value of one link; ``random`` is asked once if the quantity ``is_random``."""
        if self._function is not None:
            return self._limits.demand(self._function(sender, receiver), self._where)
        value = self._default
        if callable(value):
            assert random is not None, "a quantity that is drawn needs a generator"
            value = value(random)
        return self._by_edge.get((sender, receiver), value)


def is_number(found: object) -> bool:
    """A number, and no truth value."""
    return isinstance(found, int | float) and not isinstance(found, bool)


def distribution(found: Mapping[str, object], *, where: str, limits: Limits) -> Drawn:
    """A draw from ``{"distribution": shape, ...}``, cut to the limits; raises ConfigError naming the key."""
    shape = found["distribution"]
    if not isinstance(shape, str) or shape not in SHAPES:
        raise unknown_name("distribution", str(shape), SHAPES, where=f"{where}.distribution")
    for key in found:
        if key not in (*SHAPES[shape], "distribution"):
            known = ["distribution", *SHAPES[shape]]
            raise unknown_name(f"option of the distribution {shape!r}:", key, known, where=f"{where}.{key}")
    values = [_parameter(found, key, where=where, limits=limits) for key in SHAPES[shape]]
    if shape == "uniform" and values[0] > values[1]:
        raise ConfigError(f"low = {values[0]} is above high = {values[1]}", where=where)

    def draw(random: np.random.Generator) -> float:
        if shape == "uniform":
            value = values[0] + random.random() * (values[1] - values[0])
        elif shape == "lognormal":
            value = values[0] * exp(values[1] * random.standard_normal())
        else:
            value = values[0]
        return min(max(value, limits.low), limits.high)

    return draw


def _parameter(found: Mapping[str, object], key: str, *, where: str, limits: Limits) -> float:
    if key not in found:
        raise ConfigError(f"the distribution has no {key}", where=f"{where}.{key}")
    # The spread is in units of the logarithm, whatever the quantity is.
    return (SECONDS if key == "sigma" else limits).demand(found[key], f"{where}.{key}")


def _one_for_all(found: object, *, where: str, limits: Limits) -> float | Drawn:
    if isinstance(found, Mapping):
        if "distribution" not in found:
            raise ConfigError(f"{found!r} is no number and no distribution", where=where)
        return distribution(found, where=where, limits=limits)
    return limits.demand(found, where)


def _edges(found: Mapping[str, object], *, where: str, limits: Limits) -> dict[tuple[int, int], float]:
    if "default" not in found:
        fix = '{"default": 0.05, "0->3": 0.4, "1--2": 0.01}, or {"distribution": "uniform", …}'
        raise ConfigError("a table per edge needs a default for the other edges", where=where, fix=fix)
    edges: dict[tuple[int, int], float] = {}
    for key, value in found.items():
        match = EDGE.fullmatch(key)
        if key == "default":
            continue
        if match is None:
            raise ConfigError(
                f"{key!r} is no edge", where=f"{where}.{key}", fix='"0->3" is one way, "0--3" both ways'
            )
        u, v = int(match[1]), int(match[3])
        edges[u, v] = limits.demand(value, f"{where}.{key}")
        if match[2] == "--":
            edges[v, u] = edges[u, v]
    return edges
