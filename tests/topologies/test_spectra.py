"""Limits and edge cases of the spectral measures; the closed forms stand in tests/claims."""

import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_allclose

import topologies
from p2pfl.errors import ConfigError
from topologies import mixing, spectra
from topologies.eigenvalues import dense


def test_the_full_mesh_agrees_after_one_round_and_one_node_at_once() -> None:
    full = mixing.metropolis_weights(topologies.full_mesh(6))
    assert spectra.spectral_gap(full) == pytest.approx(1.0, abs=1e-12)
    assert spectra.rounds_to_consensus(full) == 1
    alone = np.array([[1.0]])
    assert spectra.spectral_gap(alone) == 1.0
    assert spectra.rounds_to_consensus(alone) == 0


def test_parts_that_never_meet_never_agree() -> None:
    for parts in (nx.Graph([(0, 1), (2, 3)]), nx.DiGraph([(0, 1), (2, 1)])):
        W = mixing.mixing_weights(parts)
        assert spectra.spectral_gap(W) == 0.0
        assert spectra.rounds_to_consensus(W) is None


def test_a_periodic_walk_never_settles() -> None:
    walk = nx.to_numpy_array(topologies.ring(4)) / 2
    assert spectra.slem(walk) == pytest.approx(1.0)
    assert spectra.rounds_to_consensus(walk) is None


@pytest.mark.parametrize("epsilon", [0.5, 0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("name", ["ring", "star", "one_way_trust", "scale_free"])
def test_after_the_stated_rounds_the_disagreement_is_below_epsilon(name: str, epsilon: float) -> None:
    W = mixing.mixing_weights(topologies.build(name, 9, seed=1))
    rounds = spectra.rounds_to_consensus(W, epsilon)
    assert rounds is not None
    pi = spectra.stationary_distribution(W)
    scale = np.sqrt(pi)
    left = scale[:, None] * (np.linalg.matrix_power(W, rounds) - pi) / scale
    assert np.linalg.norm(left, 2) <= epsilon * (1 + 1e-9)
    if name in ("ring", "star", "scale_free"):  # symmetric: the bound is exact
        before = np.linalg.matrix_power(W, rounds - 1) - 1 / 9
        assert np.linalg.norm(before, 2) > epsilon


def test_a_factor_of_exactly_a_tenth_needs_exactly_three_rounds_to_a_thousandth() -> None:
    W = 0.1 * np.eye(5) + 0.9 * np.full((5, 5), 0.2)
    assert spectra.rounds_to_consensus(W, 1e-3) == 3


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -1.0])
def test_an_epsilon_outside_zero_to_one_is_refused(epsilon: float) -> None:
    with pytest.raises(ConfigError, match="epsilon"):
        spectra.rounds_to_consensus(np.eye(2), epsilon)


def test_for_a_doubly_stochastic_matrix_rho_is_the_norm_of_its_distance_to_the_mean() -> None:
    for n in (9, 12, 17):
        W = mixing.receive_weights(topologies.exponential(n))
        assert spectra.rho(W) == pytest.approx(np.linalg.norm(W - 1 / n, 2), abs=1e-12)


def test_push_weights_contract_as_the_receive_weights_of_the_reversed_digraph() -> None:
    graph = topologies.one_way_trust(12, 3, seed=2)
    reverse = mixing.receive_weights(graph.reverse())
    assert_allclose(mixing.push_weights(graph).T, reverse)
    assert spectra.rho(mixing.push_weights(graph)) == pytest.approx(spectra.rho(reverse))


def test_a_matrix_that_is_not_stochastic_is_refused() -> None:
    with pytest.raises(ConfigError, match="neither"):
        spectra.rho(np.array([[1.0, 2.0], [0.5, 0.5]]))
    with pytest.raises(ConfigError, match="rows"):
        spectra.stationary_distribution(mixing.push_weights(topologies.one_way_trust(6, 2)))


def test_the_limit_of_repeated_averaging_is_the_stationary_distribution() -> None:
    for name in ("one_way_trust", "scale_free", "star"):
        W = mixing.receive_weights(topologies.build(name, 10, seed=1))
        limit = np.linalg.matrix_power(W, 4000)
        assert_allclose(limit, np.tile(spectra.stationary_distribution(W), (10, 1)), atol=1e-10)


def test_who_is_never_heard_counts_nothing_in_the_limit() -> None:
    W = mixing.receive_weights(nx.DiGraph([("a", "b"), ("b", "a"), ("b", "listener")]))
    assert_allclose(spectra.stationary_distribution(W), [0.5, 0.5, 0.0], atol=1e-15)
    assert spectra.rho(W) == pytest.approx(0.5)  # second largest eigenvalue


def test_groups_that_never_hear_each_other_have_no_common_limit() -> None:
    with pytest.raises(ConfigError, match="2 groups of nodes never hear each other"):
        spectra.stationary_distribution(mixing.receive_weights(nx.DiGraph([(0, 1), (2, 1)])))


@pytest.mark.parametrize("name", ["ring", "partial_mesh", "one_way_trust", "exponential", "star"])
def test_sparse_and_dense_matrices_have_the_same_measures(name: str) -> None:
    graph = topologies.build(name, 30, seed=2)
    full, sparse = mixing.mixing_weights(graph), mixing.mixing_weights(graph, sparse=True)
    assert spectra.rho(sparse) == pytest.approx(spectra.rho(full), abs=1e-12)
    assert spectra.slem(sparse) == pytest.approx(spectra.slem(full), abs=1e-12)
    assert_allclose(spectra.stationary_distribution(sparse), spectra.stationary_distribution(full))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ring", (1 + 2 * np.cos(2 * np.pi / 2500)) / 3),
        ("torus", (3 + 2 * np.cos(2 * np.pi / 50)) / 5),
        ("exponential", None),
        ("one_way_ring", np.cos(np.pi / 2500)),
    ],
)
def test_large_matrices_go_through_the_sparse_routines(name: str, expected: float | None) -> None:
    W = mixing.mixing_weights(topologies.build(name, 2500), sparse=True)
    if expected is None:  # circulant: eigenvalues by the Fourier transform of a row
        expected = float(np.sort(np.abs(np.fft.fft(dense(W)[0])))[-2])
    assert spectra.rho(W) == pytest.approx(expected, abs=1e-8)


def test_the_limit_of_a_large_digraph_is_a_fixed_vector() -> None:
    W = mixing.receive_weights(topologies.one_way_ring(2100), sparse=True)
    assert_allclose(spectra.stationary_distribution(W), 1 / 2100)
    loop = topologies.one_way_ring(2100)
    loop.add_edge(0, 1000)
    W = mixing.receive_weights(loop, sparse=True)
    pi = spectra.stationary_distribution(W)
    assert_allclose(pi @ W, pi, atol=1e-15)
    assert pi.sum() == pytest.approx(1.0)
