"""Nodes that come and go: by chance, or as a trace of machines that were there and were not.

Churn makes some nodes alternate between up and down, for times drawn by (seed, node).  An availability trace
is a CSV file with the columns ``node``, ``up_s`` and ``down_s``, or a JSON list of such objects: a node is up
from one to the other (nothing for ``down_s``: to the end), and down in between; a node that is not in the
file is always up.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np

from p2pfl.errors import ConfigError, unknown_name
from simulations.quantities import PROBABILITY, Limits

CHURN_PURPOSE = 0x43485552  # addresses the draws of a node: is it one that comes and goes, and when
LAWS = ("constant", "exponential")
VERBS = ("crash", "leave")
MAX_TRACE_ROWS = 1_000_000

TIME = Limits(0.0, inf, "0 or more seconds")
DURATION = Limits(0.0, inf, "more than 0 seconds", excludes_ends=True)

Periods = Mapping[int, tuple[tuple[float, float], ...]]  # node -> (up_s, down_s), sorted


@dataclass(frozen=True, slots=True)
class Churn:
    """A share of the nodes is up for ``up_s`` and down for ``down_s`` in turn: on average, or exactly.

    It begins at ``from_s``, when each has a random part of its time behind it; nobody goes down after
    ``until_s``.  Who comes back after a ``crash`` has what it stored; after a ``leave`` it joins afresh.
    """

    up_s: float
    down_s: float
    share: float = 1.0
    from_s: float = 0.0
    until_s: float = inf
    law: str = "exponential"
    verb: str = "crash"


class ChurnTimes:
    """The times of one node, each asked for once, in order."""

    def __init__(self, churn: Churn, node: int, seed: int) -> None:
        self._churn = churn
        self._random = np.random.default_rng([seed, node, CHURN_PURPOSE])
        self.is_affected = float(self._random.random()) < churn.share
        # A constant law would have all go down at once: each is met at a random place of its period.
        self._part = float(self._random.random()) if churn.law == "constant" else 1.0

    def next(self, now_s: float) -> tuple[float, float] | None:
        """When it goes down and when it is back, after ``now_s``; None when no more."""
        down_s = now_s + self._part * self._draw(self._churn.up_s)
        self._part = 1.0
        back_s = down_s + self._draw(self._churn.down_s)
        return None if down_s > self._churn.until_s else (down_s, back_s)

    def _draw(self, mean_s: float) -> float:
        if self._churn.law == "constant":
            return mean_s
        return mean_s * float(self._random.standard_exponential())


def churn_from(options: Mapping[str, object]) -> Churn:
    """Churn from options of a config; raises ConfigError naming the key."""
    known = Churn.__slots__
    for key in options:
        if key not in known:
            raise unknown_name("option of churn:", key, known, where=f"faults.churn.{key}")
    for key in ("up_s", "down_s"):
        if key not in options:
            raise ConfigError(
                f"churn has no {key}",
                where=f"faults.churn.{key}",
                fix="say for how long nodes are up and down",
            )
        DURATION.demand(options[key], f"faults.churn.{key}")
        if options[key] == inf:
            raise ConfigError(f"{key} is infinite", where=f"faults.churn.{key}")
    PROBABILITY.demand(options.get("share", 1.0), "faults.churn.share")
    TIME.demand(options.get("from_s", 0.0), "faults.churn.from_s")
    if options.get("until_s") != inf:
        TIME.demand(options.get("until_s", 0.0), "faults.churn.until_s")
    for key, names in (("law", LAWS), ("verb", VERBS)):
        if options.get(key, names[0]) not in names:
            raise unknown_name(key, str(options[key]), names, where=f"faults.churn.{key}")
    return Churn(**options)  # type: ignore[arg-type]  # checked above


def read_availability(path: Path, *, nodes: int) -> Periods:
    """When each node of a trace is up; raises ConfigError naming the row."""
    where = f"faults.availability: {path}"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the trace cannot be read: {error}", where=where) from error
    rows = _json_rows(text, where) if path.suffix == ".json" else _csv_rows(text, where)
    if len(rows) > MAX_TRACE_ROWS:
        raise ConfigError(f"more than {MAX_TRACE_ROWS} rows", where=where)
    found: dict[int, list[tuple[float, float]]] = {}
    for number, row in enumerate(rows, start=1):
        node, period = _period(row, f"{where}, row {number}", nodes)
        found.setdefault(node, []).append(period)
    for node, periods in found.items():
        periods.sort()
        for (_, down_s), (up_s, _) in pairwise(periods):
            if up_s < down_s:
                raise ConfigError(
                    f"node {node} comes up at {up_s} s, but is up until {down_s} s", where=where
                )
    return {node: tuple(periods) for node, periods in found.items()}


def _csv_rows(text: str, where: str) -> Sequence[Mapping[str, object]]:
    rows = csv.DictReader(text.splitlines())
    if not {"node", "up_s", "down_s"} <= set(rows.fieldnames or ()):
        raise ConfigError(f"the columns are {rows.fieldnames}, not node, up_s, down_s", where=where)
    return list(rows)


def _json_rows(text: str, where: str) -> Sequence[Mapping[str, object]]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"no JSON: {error}", where=where) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError("not a list of objects with node, up_s, down_s", where=where)
    return rows


def _period(row: Mapping[str, object], where: str, nodes: int) -> tuple[int, tuple[float, float]]:
    try:
        node, up_s = int(str(row.get("node"))), float(str(row.get("up_s")))
        end = row.get("down_s")
        down_s = inf if end in (None, "") else float(str(end))
    except ValueError as error:
        raise ConfigError(f"{dict(row)} is no node, up_s, down_s", where=where) from error
    if not 0 <= node < nodes:
        raise ConfigError(f"there is no node {node}", where=where, fix=f"nodes are 0 to {nodes - 1}")
    TIME.demand(up_s, where)
    if not down_s > up_s:
        raise ConfigError(f"node {node} is up from {up_s} s to {down_s} s", where=where)
    return node, (up_s, down_s)
