"""Closed forms for the spectra of mixing matrices (ALGORITHMS.md, sections 3.1, 5 and 11, rows 1 to 6)."""

import networkx as nx
import numpy as np
import pytest

import topologies
from topologies import mixing, spectra


def metropolis_rho(graph: nx.Graph) -> float:
    return spectra.rho(mixing.metropolis_weights(graph))


@pytest.mark.parametrize(
    ("n", "value"),
    [(8, 0.80473785), (16, 0.94925302), (32, 0.98719019), (64, 0.99678982), (100, 0.99868449)],
)
def test_the_ring_with_metropolis_weights(n: int, value: float) -> None:
    """Row 1.  Eigenvalues of a circulant matrix; Xiao, Boyd 2004."""
    measured = metropolis_rho(topologies.ring(n))
    assert measured == pytest.approx((1 + 2 * np.cos(2 * np.pi / n)) / 3, abs=1e-12)
    assert measured == pytest.approx(value, abs=1e-8)
    assert spectra.slem(mixing.metropolis_weights(topologies.ring(n))) == pytest.approx(value, abs=1e-8)


def test_the_gap_of_a_large_ring_falls_with_the_square_of_its_size() -> None:
    """Row 1: gap about 4 pi^2 / (3 n^2)."""
    gap = spectra.spectral_gap(mixing.metropolis_weights(topologies.ring(400)))
    assert gap == pytest.approx(4 * np.pi**2 / (3 * 400**2), rel=1e-3)


@pytest.mark.parametrize(("side", "value"), [(4, 0.6), (5, 0.72360680), (8, 0.88284271), (10, 0.92360680)])
def test_the_square_torus_with_metropolis_weights(side: int, value: float) -> None:
    """Row 2: (3 + 2 cos(2 pi / k)) / 5."""
    measured = metropolis_rho(topologies.torus(side, side))
    assert measured == pytest.approx((3 + 2 * np.cos(2 * np.pi / side)) / 5, abs=1e-12)
    assert measured == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(("dimension", "value"), [(4, 0.6), (5, 0.66666667), (6, 0.71428571)])
def test_the_hypercube_with_metropolis_weights(dimension: int, value: float) -> None:
    """Row 3: (d - 1) / (d + 1)."""
    measured = metropolis_rho(topologies.hypercube(dimension))
    assert measured == pytest.approx((dimension - 1) / (dimension + 1), abs=1e-12)
    assert measured == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("n", [3, 10, 25])
def test_the_line_with_metropolis_weights(n: int) -> None:
    """Row 4: (1 + 2 cos(pi / n)) / 3."""
    assert metropolis_rho(topologies.line(n)) == pytest.approx((1 + 2 * np.cos(np.pi / n)) / 3, abs=1e-12)


def test_the_line_of_ten() -> None:
    """Row 4."""
    assert metropolis_rho(topologies.line(10)) == pytest.approx(0.96737101, abs=1e-8)


@pytest.mark.parametrize("n", [3, 5, 16, 50])
def test_the_gap_of_a_star_is_one_over_n(n: int) -> None:
    """Row 4."""
    assert spectra.spectral_gap(mixing.metropolis_weights(topologies.star(n))) == pytest.approx(
        1 / n, abs=1e-12
    )


@pytest.mark.parametrize("n", [2, 6, 8, 10, 16, 20, 32, 64])
def test_the_static_exponential_graph_of_even_size(n: int) -> None:
    """Row 5: rho = 1 - 2 / (1 + ceil(log2 n)); Ying et al. 2021."""
    W = mixing.receive_weights(topologies.exponential(n))
    digits = (n - 1).bit_length()
    assert np.allclose(W.sum(axis=0), 1, atol=1e-14)  # doubly stochastic
    assert np.diag(W) == pytest.approx(1 / (1 + digits))
    assert spectra.rho(W) == pytest.approx(1 - 2 / (1 + digits), abs=1e-12)


@pytest.mark.parametrize(("n", "value"), [(17, 0.547621), (25, 0.510861), (33, 0.607800)])
def test_the_static_exponential_graph_of_odd_size_mixes_faster(n: int, value: float) -> None:
    """Row 5, section 5."""
    measured = spectra.rho(mixing.receive_weights(topologies.exponential(n)))
    assert measured == pytest.approx(value, abs=5e-7)
    assert measured < 1 - 2 / (1 + (n - 1).bit_length())


@pytest.mark.parametrize("n", [3, 8, 21])
def test_the_one_way_ring_half_and_half(n: int) -> None:
    """Row 6: cos(pi / n)."""
    W = mixing.receive_weights(topologies.one_way_ring(n))
    assert spectra.rho(W) == pytest.approx(np.cos(np.pi / n), abs=1e-12)


def test_the_one_way_ring_of_eight() -> None:
    """Row 6."""
    W = mixing.receive_weights(topologies.one_way_ring(8))
    assert spectra.rho(W) == pytest.approx(0.92387953, abs=1e-8)


def test_the_best_constant_weights_of_the_ring_of_sixteen() -> None:
    """Section 3.1: rho = (l_n - l_2) / (l_n + l_2), here .9267; Xiao, Boyd 2004."""
    ring = topologies.ring(16)
    laplacian = np.sort(np.linalg.eigvalsh(nx.laplacian_matrix(ring).toarray().astype(float)))
    second, largest = laplacian[1], laplacian[-1]
    measured = spectra.rho(mixing.best_constant_weights(ring))
    assert measured == pytest.approx((largest - second) / (largest + second), abs=1e-10)
    assert measured == pytest.approx(0.9267, abs=5e-5)


def test_no_other_constant_mixes_faster_than_the_best_one() -> None:
    """Section 3.1."""
    graph = topologies.scale_free(20, 2, seed=1)
    laplacian = nx.laplacian_matrix(graph).toarray().astype(float)
    best = spectra.rho(mixing.best_constant_weights(graph))
    alphas = np.linspace(0.005, 0.3, 60)
    others = [np.linalg.norm(np.eye(20) - alpha * laplacian - 1 / 20, 2) for alpha in alphas]
    assert best <= min(others) + 1e-12
    assert min(others) < best + 0.01


@pytest.mark.parametrize("name", ["line", "star", "scale_free", "erdos_renyi"])
def test_metropolis_and_max_degree_weights_have_no_eigenvalue_at_minus_one(name: str) -> None:
    """Section 3.1: symmetric, doubly stochastic, eigenvalues > -1."""
    graph = topologies.build(name, 16, seed=1)
    for rule in (mixing.metropolis_weights, mixing.max_degree_weights):
        values = np.linalg.eigvalsh(rule(graph))
        assert values[0] > -1 + 1e-6
        assert values[-1] == pytest.approx(1.0, abs=1e-12)
        assert values[-2] < 1 - 1e-6


def test_equal_weights_on_an_irregular_graph_end_at_weights_proportional_to_degree_plus_one() -> None:
    """Section 3.1, pitfall: (A + I) divided by its row sums is only row-stochastic."""
    graph = topologies.scale_free(15, 2, seed=2)
    pi = spectra.stationary_distribution(mixing.receive_weights(graph))
    degree = np.array([d for _, d in graph.degree()])
    assert pi == pytest.approx((degree + 1) / (degree + 1).sum(), abs=1e-12)


def test_averaging_on_the_four_node_digraph_ends_beside_the_mean_and_push_sum_on_it() -> None:
    """Section 3.5: 2.241379 with pi = (.4138, .2069, .1034, .2759), against 2.5."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(4))
    graph.add_edges_from([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3), (0, 3)])
    x = np.array([1.0, 2.0, 3.0, 4.0])
    pi = spectra.stationary_distribution(mixing.receive_weights(graph))
    assert pi == pytest.approx([0.4138, 0.2069, 0.1034, 0.2759], abs=5e-5)
    assert pi @ x == pytest.approx(2.241379, abs=5e-7)
    after = np.linalg.matrix_power(mixing.push_weights(graph), 200)
    assert (after @ x) / (after @ np.ones(4)) == pytest.approx(np.full(4, 2.5), abs=1e-12)
