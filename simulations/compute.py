"""How long a training takes, node by node: a constant, draws, stragglers, a trace, or a function.

As plain data (``compute`` of an experiment):

* ``1.0``: seconds of every training;
* ``{"seconds": 1.0, "stragglers": 0.1, "slowdown": 5}``: a tenth of the nodes, drawn by the seed, is slower;
* ``{"distribution": "lognormal", "median": 1.0, "sigma": 0.5, "per": "node"}``: drawn once per node, or
  anew for each training (``per = "training"``, the default); ``uniform`` has ``low`` and ``high``;
* ``{"trace": "seconds.csv"}``: columns ``node`` and ``seconds``, one row per training, over and over.

The time of a training is a function of (seed, node, number of the training).
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from p2pfl.errors import ConfigError, unknown_name
from simulations.quantities import PROBABILITY, SECONDS, SHAPES, Drawn, distribution

DEFAULT_S = 1.0
COMPUTE_PURPOSE = 0x434F4D50  # addresses the draws of a training
NODE_PURPOSE = 0x4E4F4445  # ... and of a node
MAX_TRACE_ROWS = 1_000_000

Seconds: TypeAlias = Callable[[int, int], float]  # (node number, number of the training) -> seconds


@dataclass(frozen=True, slots=True)
class Compute:
    """The virtual seconds that a training takes; by default always ``seconds``."""

    seconds: float = DEFAULT_S
    slowdown: float = 1.0
    stragglers: float = 0.0  # share of the nodes that are slower
    drawn: Drawn | None = None
    is_per_node: bool = False
    traced: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    function: Seconds | None = None

    def of(self, node: int, training: int, seed: int) -> float:
        """Seconds of a node's training number 0, 1, 2, ..."""
        if self.function is not None:
            return SECONDS.demand(self.function(node, training), "compute")
        if node in self.traced:
            return self.traced[node][training % len(self.traced[node])]
        seconds = self.seconds
        if self.drawn is not None:
            address = [seed, node, 0 if self.is_per_node else training, COMPUTE_PURPOSE]
            seconds = self.drawn(np.random.default_rng(address))
        if self.stragglers and np.random.default_rng([seed, node, NODE_PURPOSE]).random() < self.stragglers:
            seconds *= self.slowdown
        return seconds


def compute_from(found: object, *, nodes: int | None = None) -> Compute:
    """The compute times that a config says; raises ConfigError naming the key.

    ``nodes`` bounds the node numbers of a trace.
    """
    if isinstance(found, Compute):
        return found
    if callable(found):
        return Compute(function=found)
    if not isinstance(found, Mapping):
        return Compute(seconds=SECONDS.demand(found, "compute"))
    options = dict(found)
    if "trace" in options:
        _check_known(options, ("trace", "seconds"))
        path, seconds = options["trace"], SECONDS.demand(options.get("seconds", DEFAULT_S), "compute.seconds")
        return Compute(seconds=seconds, traced=read_seconds(Path(str(path)), nodes=nodes))
    shape = options.get("distribution")
    own = ("distribution", *SHAPES.get(str(shape), ()), "per") if shape is not None else ("seconds",)
    _check_known(options, (*own, "stragglers", "slowdown"))
    per = options.get("per", "training")
    if per not in ("node", "training"):
        raise unknown_name("per", str(per), ("node", "training"), where="compute.per")
    drawn = None
    if shape is not None:
        table = {key: value for key, value in options.items() if key in own and key != "per"}
        drawn = distribution(table, where="compute", limits=SECONDS)
    return Compute(
        seconds=SECONDS.demand(options.get("seconds", DEFAULT_S), "compute.seconds"),
        slowdown=SECONDS.demand(options.get("slowdown", 5.0), "compute.slowdown"),
        stragglers=PROBABILITY.demand(options.get("stragglers", 0.0), "compute.stragglers"),
        drawn=drawn,
        is_per_node=per == "node",
    )


def read_seconds(path: Path, *, nodes: int | None = None) -> dict[int, tuple[float, ...]]:
    """A trace of compute times: node number -> seconds of its trainings, in the order of the file."""
    where = f"compute.trace: {path}"
    found: dict[int, list[float]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"node", "seconds"} <= set(rows.fieldnames or ()):
                raise ConfigError(f"the columns are {rows.fieldnames}, not node, seconds", where=where)
            for number, row in enumerate(rows, start=2):
                if number > MAX_TRACE_ROWS:
                    raise ConfigError(f"more than {MAX_TRACE_ROWS} rows", where=where)
                node, seconds = _row(row, f"{where}, line {number}", nodes)
                found.setdefault(node, []).append(seconds)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the trace cannot be read: {error}", where=where) from error
    return {node: tuple(seconds) for node, seconds in found.items()}


def _row(row: Mapping[str, str | None], where: str, nodes: int | None) -> tuple[int, float]:
    try:
        node, seconds = int(row["node"] or ""), float(row["seconds"] or "")
    except ValueError as error:
        raise ConfigError(f"{dict(row)} is no node number and seconds", where=where) from error
    if node < 0 or (nodes is not None and node >= nodes):
        raise ConfigError(f"there is no node {node}", where=where, fix=f"nodes are 0 to {(nodes or 1) - 1}")
    return node, SECONDS.demand(seconds, where)


def _check_known(options: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in options:
        if key not in known:
            raise unknown_name("option of compute:", key, known, where=f"compute.{key}")
