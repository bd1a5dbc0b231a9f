"""Measures of a run: how far the nodes are from each other, and how well they do."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from p2pfl.learning.learner import Evaluation


def consensus_distance(X: NDArray[np.float32] | NDArray[np.float64]) -> float:
    """How far the models X [N, P] are from their mean: ``sqrt(1/N sum_i ||x_i - xbar||^2)``, in float64.

    NaN where a model is not finite.
    """
    if not len(X):
        return 0.0
    with np.errstate(invalid="ignore"):
        mean = X.mean(axis=0, dtype=np.float64)
        squares = sum(float(np.dot(row, row)) for row in (x - mean for x in X))
    return float(np.sqrt(squares / len(X)))


def mean_accuracy(evaluations: Iterable[Evaluation]) -> float:
    """Mean of the nodes' accuracies, each node counting once; 0 when there are none."""
    accuracies = [evaluation.accuracy for evaluation in evaluations]
    return float(np.mean(accuracies)) if accuracies else 0.0


def pooled_evaluation(evaluations: Iterable[Evaluation]) -> Evaluation:
    """The global figure: the sum of the nodes' confusion counts and losses.

    Raises ValueError when there are none.
    """
    parts = list(evaluations)
    if not parts:
        raise ValueError("nothing was evaluated")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
