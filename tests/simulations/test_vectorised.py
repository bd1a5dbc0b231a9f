"""Averaging and walks on arrays."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

import topologies
from p2pfl.aggregation.mean import mean
from p2pfl.errors import ConfigError
from p2pfl.learning.swarm_learner import Rows
from simulations import mixing
from simulations.mixing import GatheredMixing
from simulations.vectorised import gossip_averaging, walk


def models(nodes: int, parameters: int = 7, seed: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(nodes, parameters)).astype(np.float32)


def irregular(nodes: int = 12) -> NDArray[np.float64]:
    return topologies.metropolis_weights(topologies.scale_free(nodes, m=2, seed=4))


def test_mixing_has_the_bytes_of_the_mean_of_each_neighbourhood() -> None:
    X, W = models(12), irregular()
    mixed = GatheredMixing(W).mix(X)
    for i in range(12):
        senders = np.flatnonzero(W[i])
        assert mixed[i].tobytes() == mean(X[senders], W[i, senders]).tobytes()


def test_sparse_weights_give_the_bytes_of_dense_ones() -> None:
    X, W = models(12), irregular()
    dense, sparse = gossip_averaging(X, W, 5), gossip_averaging(X, csr_array(W), 5)
    assert dense.tobytes() == sparse.tobytes()


def test_blocks_of_rows_do_not_change_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    X, W = models(12), irregular()
    whole = GatheredMixing(W).mix(X)
    monkeypatch.setattr(mixing, "BLOCK_BYTES", 60)  # two rows
    assert GatheredMixing(W).mix(X).tobytes() == whole.tobytes()


def test_rounds_are_the_powers_of_the_matrix() -> None:
    X, W = models(12).astype(np.float64), irregular()
    assert gossip_averaging(X, W, 6) == pytest.approx(np.linalg.matrix_power(W, 6) @ X, abs=1e-14)


def test_what_was_given_is_not_changed() -> None:
    X, W = models(12), irregular()
    before = X.copy()
    gossip_averaging(X, W, 3)
    assert np.array_equal(X, before)


def test_training_comes_before_mixing_and_knows_the_round() -> None:
    rounds_seen = []

    def train(X: Rows, round: int) -> Rows:
        rounds_seen.append(round)
        trained = X.copy()
        trained[0] += 1
        return trained

    W = np.array([[0.5, 0.5], [0.5, 0.5]])
    mixed = gossip_averaging(np.zeros((2, 1)), W, 3, train=train)
    assert rounds_seen == [0, 1, 2]
    assert np.array_equal(mixed, [[1.5], [1.5]])


def test_weights_may_change_from_round_to_round() -> None:
    swap, stay = np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2)
    X = np.array([[1.0], [2.0]])
    assert np.array_equal(gossip_averaging(X, lambda t: swap if t < 3 else stay, 5), [[2.0], [1.0]])


def test_weights_whose_rows_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"row 1 of the mixing weights sums to 0\.75, not 1"):
        gossip_averaging(np.zeros((2, 1)), np.array([[0.5, 0.5], [0.5, 0.25]]), 1)


def test_weights_for_another_number_of_nodes_are_refused() -> None:
    with pytest.raises(ConfigError, match="W mixes 12 nodes, but there are 3 models"):
        gossip_averaging(models(3), irregular(), 1)


def test_a_walk_hands_one_model_from_node_to_node() -> None:
    def append(node: int, x: Rows, age: int) -> Rows:
        return 10 * x + node + 0 * age

    assert walk(np.zeros(1), [1, 2, 3, 1], append)[0] == 1231
