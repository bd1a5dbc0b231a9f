"""Pairwise gossip: an exchange multiplies E||x - mean||^2 by at most the second eigenvalue of E[W].

Reference: Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", 2006.
"""

from typing import Literal, TypeAlias

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from simulations.vectorised_push_sum import pairwise, random_pairs

Clock: TypeAlias = Literal["edge", "node"]


def expected_mixing(graph: nx.Graph, clock: Clock) -> NDArray[np.float64]:
    """E[W] of one exchange."""
    n, total = len(graph), graph.number_of_edges()
    mixing = np.zeros((n, n))
    for i, j in graph.edges:
        chance = 1 / total if clock == "edge" else (1 / graph.degree[i] + 1 / graph.degree[j]) / n
        apart = np.zeros(n)
        apart[i], apart[j] = 1, -1
        mixing += chance * (np.eye(n) - np.outer(apart, apart) / 2)
    return mixing


def second(matrix: NDArray[np.float64]) -> float:
    return float(np.sort(np.linalg.eigvalsh(matrix))[-2])


@pytest.mark.parametrize(
    ("graph", "rate"),
    [
        pytest.param(topologies.ring(16), 0.995242, id="ring"),
        pytest.param(topologies.hypercube(4), 0.968750, id="hypercube"),
        pytest.param(topologies.full_mesh(16), 1 - 1 / 15, id="full mesh"),
    ],
)
def test_the_rate_of_uniform_edges_is_one_minus_l2_over_twice_the_edges(graph: nx.Graph, rate: float) -> None:
    laplacian = nx.laplacian_matrix(graph).toarray().astype(float)
    formula = 1 - np.sort(np.linalg.eigvalsh(laplacian))[1] / (2 * graph.number_of_edges())
    assert formula == pytest.approx(rate, abs=1e-6)
    assert second(expected_mixing(graph, "edge")) == pytest.approx(rate, abs=1e-6)


def test_node_clocks_have_the_expected_matrix_of_their_choices() -> None:
    graph = topologies.scale_free(12, m=2, seed=1)
    degree = np.array([graph.degree[i] for i in range(12)])
    P = nx.to_numpy_array(graph, nodelist=range(12)) / degree[:, np.newaxis]
    D = np.diag((P + P.T).sum(axis=1))
    formula = np.eye(12) - D / 24 + (P + P.T) / 24
    assert expected_mixing(graph, "node") == pytest.approx(formula, abs=1e-12)
    W = topologies.metropolis_weights(graph)
    pairs = random_pairs(W, 60_000, seed=4, clock="node")
    met = np.zeros((12, 12))
    np.add.at(met, tuple(pairs.T), 1 / len(pairs))
    assert met == pytest.approx(P / 12, abs=0.002)


def variance_left(graph: nx.Graph, clock: Clock, *, exchanges: int, runs: int) -> float:
    """The mean share of the variance that is left, over runs from one start."""
    W = topologies.metropolis_weights(graph)
    x = np.random.default_rng(9).normal(size=(len(graph), 1))
    x -= x.mean()
    left = [pairwise(x, random_pairs(W, exchanges, seed=seed, clock=clock)) for seed in range(runs)]
    return float(np.mean([np.sum(each**2) for each in left]) / np.sum(x**2))


def test_on_the_full_mesh_the_rate_is_met_exactly_on_average() -> None:
    found = variance_left(topologies.full_mesh(16), "edge", exchanges=40, runs=1500)
    assert found == pytest.approx((14 / 15) ** 40, rel=0.06)


@pytest.mark.parametrize("clock", ["edge", "node"])
def test_elsewhere_the_rate_is_a_bound(clock: Clock) -> None:
    graph = topologies.scale_free(16, m=2, seed=3)
    found = variance_left(graph, clock, exchanges=160, runs=200)
    assert found < second(expected_mixing(graph, clock)) ** 160


def test_in_the_end_all_stand_at_the_mean_and_the_sum_never_changes() -> None:
    X = np.random.default_rng(2).normal(size=(16, 3))
    pairs = random_pairs(topologies.metropolis_weights(topologies.torus(4, 4)), 10_000, seed=8)
    found = pairwise(X, pairs)
    assert found == pytest.approx(np.tile(X.mean(axis=0), (16, 1)), abs=1e-13)
