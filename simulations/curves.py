"""What is drawn of a run, round by round: the accuracy over its nodes, and the figures of all of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.result_rows import Evaluated, RoundFigures

INNER = (10, 90)  # percentiles: between them are four of five nodes


@dataclass(frozen=True, slots=True)
class AccuracyCurve:
    """Accuracy over nodes after each evaluated round: columns of equal length."""

    rounds: NDArray[np.int64]
    mean: NDArray[np.float64]
    inner: NDArray[np.float64]  # [2, rounds]: between them are four of five nodes
    ends: NDArray[np.float64]  # [2, rounds]: the least and the most


@dataclass(frozen=True, slots=True)
class RunCurves:
    """One of several runs that are compared."""

    name: str
    accuracy: AccuracyCurve
    by_round: tuple[RoundFigures, ...]


def accuracy_curve(rows: Iterable[Evaluated]) -> AccuracyCurve:
    """The spread over the nodes that were evaluated after each round."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        found[row.round].append(row.accuracy)
    rounds = sorted(found)
    values = [np.array(found[done]) for done in rounds]
    spread = np.array([np.percentile(each, (0, INNER[0], INNER[1], 100)) for each in values]).reshape(-1, 4).T
    mean = np.array([each.mean() for each in values])
    return AccuracyCurve(np.array(rounds, np.int64), mean, spread[1:3], spread[[0, 3]])
