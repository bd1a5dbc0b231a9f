"""Push-sum and pairwise gossip on arrays."""

from typing import Literal

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

import topologies
from p2pfl.errors import ConfigError
from p2pfl.learning.swarm_learner import Rows
from simulations.vectorised_push_sum import pairwise, push_shares, push_sum, random_pairs

CLOCKS: tuple[Literal["edge", "node"], ...] = ("edge", "node")
DIGRAPH = topologies.one_way_trust(12, out_degree=3, seed=2)


def models(nodes: int, parameters: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(3).normal(size=(nodes, parameters))


def dense(graph: nx.Graph) -> NDArray[np.float64]:
    found = topologies.mixing_weights(graph)
    assert isinstance(found, np.ndarray)
    return found


def test_the_shares_of_a_schedule_are_the_push_weights_of_its_graph() -> None:
    expected = topologies.push_weights(DIGRAPH)
    assert push_shares(dense(DIGRAPH)).toarray() == pytest.approx(expected, abs=1e-15)
    assert push_shares(csr_array(dense(DIGRAPH))).toarray() == pytest.approx(expected, abs=1e-15)


def test_a_round_is_a_power_of_the_matrix_divided_by_the_weights() -> None:
    C, X = push_shares(dense(DIGRAPH)).toarray(), models(12)
    mixed = np.linalg.matrix_power(C, 6)
    assert push_sum(X, C, 3) == pytest.approx(mixed @ X / (mixed @ np.ones((12, 1))), abs=1e-14)
    assert push_sum(X, lambda _: csr_array(C), 2, mixing_rounds=3) == pytest.approx(push_sum(X, C, 3))


def test_training_sees_the_ratio_and_its_change_is_scaled_by_the_starting_weight() -> None:
    weights = np.array([1.0, 3.0])
    seen: list[Rows] = []

    def train(X: Rows, round: int) -> Rows:
        seen.append(X.copy())
        return np.asarray(X + np.array([[1.0], [0.0]]), np.float64)

    start = np.array([[0.0], [4.0]])
    z = push_sum(start, np.full((2, 2), 0.5), 2, train=train, weights=weights)
    assert np.array_equal(seen[0], start)
    assert seen[1][:, 0] == pytest.approx([3.25, 3.25])
    assert z[:, 0] == pytest.approx([3.5, 3.5])


def test_models_in_single_precision_come_back_so_and_are_not_changed() -> None:
    X = models(12).astype(np.float32)
    before = X.tobytes()
    z = push_sum(X, topologies.push_weights(DIGRAPH), 100)
    assert z.dtype == np.float32
    assert X.tobytes() == before
    assert z == pytest.approx(np.tile(X.mean(axis=0), (12, 1)), abs=1e-6)


def test_a_node_that_hears_nobody_keeps_a_finite_model() -> None:
    chain = nx.DiGraph([(0, 1), (1, 2), (2, 1)])
    z = push_sum(np.array([[1.0], [2.0], [3.0]]), topologies.push_weights(chain), 1200)
    assert z[0, 0] == pytest.approx(1.0)
    assert z[1:, 0] == pytest.approx([2.0, 2.0], abs=1e-6)


def test_rows_that_sum_to_one_are_no_push_weights() -> None:
    with pytest.raises(ConfigError, match="column"):
        push_sum(models(12), topologies.receive_weights(DIGRAPH), 1)
    with pytest.raises(ConfigError, match="12 nodes, but there are 3"):
        push_sum(models(3), topologies.push_weights(DIGRAPH), 1)


def one_by_one(X: Rows, pairs: NDArray[np.int64]) -> Rows:
    X = X.copy()
    for i, j in pairs:
        X[i] = X[j] = (X[i] + X[j]) / 2
    return X


@pytest.mark.parametrize("clock", CLOCKS)
def test_exchanges_carried_out_together_have_the_bytes_of_one_by_one(clock: Literal["edge", "node"]) -> None:
    X = models(40)
    pairs = random_pairs(dense(topologies.ring(40)), 500, seed=1, clock=clock)
    assert pairwise(X, pairs).tobytes() == one_by_one(X, pairs).tobytes()
    assert pairwise(X, pairs).mean(axis=0) == pytest.approx(X.mean(axis=0), abs=1e-14)


def test_pairs_are_edges_and_all_edges_come() -> None:
    graph = topologies.scale_free(12, m=2, seed=1)
    for clock in CLOCKS:
        pairs = random_pairs(dense(graph), 3000, seed=5, clock=clock)
        drawn = {(min(i, j), max(i, j)) for i, j in pairs.tolist()}
        assert drawn == {(min(i, j), max(i, j)) for i, j in graph.edges}


def test_nobody_exchanges_where_somebody_has_no_neighbour() -> None:
    with pytest.raises(ConfigError, match="node 2 is linked to nobody"):
        random_pairs(np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]]), 3, seed=0)
