"""The distance that is kept up to date equals the one that is computed anew."""

import numpy as np
import pytest

from simulations import consensus
from simulations.consensus import RunningDistance
from simulations.metrics import consensus_distance


def test_after_every_change_it_is_the_distance_of_the_present_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "BLOCK", 3)  # several blocks, the last one shorter
    random = np.random.default_rng(5)
    X = np.tile(random.normal(size=10).astype(np.float32), (4, 1))
    running = RunningDistance(X[0].copy(), nodes=4)

    for node in random.integers(0, 4, 50):
        X[node] = X[node] + random.normal(size=10).astype(np.float32)
        running.changed(int(node), X[node].copy())

        assert running.distance() == pytest.approx(consensus_distance(X), rel=1e-9)


def test_equal_models_are_at_no_distance_but_rounding() -> None:
    start, far = np.zeros(1000, np.float32), np.full(1000, 3.0, np.float32)
    running = RunningDistance(start, nodes=7)

    for node in range(7):
        running.changed(node, far)

    assert running.distance() <= 1e-7 * np.linalg.norm(far)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_while_a_model_is_not_finite_there_is_no_distance_and_then_it_is_exact_again(bad: float) -> None:
    X = np.random.default_rng(7).normal(size=(3, 10)).astype(np.float32)
    running = RunningDistance(np.zeros(10, np.float32), nodes=3)
    for node, row in enumerate(X):
        running.changed(node, row)
    before = running.distance()

    broken = X[1].copy()
    broken[4] = bad
    for _ in range(2):
        running.changed(1, broken)
        assert np.isnan(running.distance())
        assert np.isnan(consensus_distance(np.stack([X[0], broken, X[2]])))
    running.changed(1, X[1])

    assert running.distance() == pytest.approx(before, rel=1e-12)
    assert before == pytest.approx(consensus_distance(X), rel=1e-12)


def test_a_model_that_was_far_away_leaves_nothing_behind() -> None:
    X = np.random.default_rng(7).normal(size=(3, 10)).astype(np.float32)
    running = RunningDistance(np.zeros(10, np.float32), nodes=3)
    for node, row in enumerate(X):
        running.changed(node, row)

    running.changed(1, np.full(10, 1e30, np.float32))
    assert running.distance() == pytest.approx(np.sqrt(20) / 3 * 1e30, rel=1e-6)
    running.changed(1, X[1])

    assert running.distance() == pytest.approx(consensus_distance(X), rel=1e-9)
