"""Measures of a run."""

import numpy as np
import pytest

from p2pfl.learning.learner import Evaluation
from simulations.metrics import consensus_distance, mean_accuracy, pooled_evaluation

GOOD = Evaluation(np.array([[3, 0], [0, 1]]), 2.0)
POOR = Evaluation(np.array([[0, 2], [0, 0]]), 4.0)


def test_consensus_distance_is_the_root_mean_square_distance_from_the_mean() -> None:
    X = np.array([[0.0, 0.0], [6.0, 8.0]])
    assert consensus_distance(X) == pytest.approx(5.0)
    assert consensus_distance(X[:1]) == 0.0
    assert consensus_distance(X[:0]) == 0.0


def test_mean_accuracy_counts_each_node_once_and_the_pooled_one_each_sample() -> None:
    assert mean_accuracy([GOOD, POOR]) == pytest.approx(0.5)
    assert pooled_evaluation([GOOD, POOR]).accuracy == pytest.approx(4 / 6)
    assert pooled_evaluation([GOOD, POOR]).loss == pytest.approx(1.0)


def test_nothing_evaluated_is_said() -> None:
    assert mean_accuracy([]) == 0.0
    with pytest.raises(ValueError, match="nothing was evaluated"):
        pooled_evaluation([])
