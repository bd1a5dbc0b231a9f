"""How gossip averaging contracts, as matrices (ALGORITHMS.md, sections 3.2, 3.3 and 11, rows 7 and 12)."""

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from topologies import mixing, spectra

Vector = NDArray[np.float64]


def disagreement(X: Vector) -> float:
    """||X - J X||_F."""
    return float(np.linalg.norm(X - X.mean(axis=0)))


def ring_of_16() -> NDArray[np.float64]:
    W: NDArray[np.float64] = mixing.metropolis_weights(topologies.ring(16))
    return W


@pytest.mark.parametrize("name", ["ring", "torus", "star", "scale_free"])
def test_the_disagreement_shrinks_by_exactly_rho_along_the_slowest_eigenvector(name: str) -> None:
    """Row 7."""
    W = mixing.metropolis_weights(topologies.build(name, 16, seed=1))
    values, vectors = np.linalg.eigh(W)
    slowest = vectors[:, np.argsort(np.abs(values))[-2]]
    X = slowest
    for _ in range(30):
        following = W @ X
        assert disagreement(following) / disagreement(X) == pytest.approx(spectra.rho(W), abs=1e-8)
        X = following


@pytest.mark.parametrize("name", ["ring", "torus", "star", "partial_mesh", "line", "exponential"])
def test_the_disagreement_shrinks_at_least_by_rho_from_anywhere_and_the_mean_stays(name: str) -> None:
    """Row 7, section 3.2: ||X_t - J X_0||_F <= rho^t ||X_0 - J X_0||_F."""
    W = mixing.mixing_weights(topologies.build(name, 16, seed=2))
    X = np.random.default_rng(5).standard_normal((16, 7))
    start, mean, bound = disagreement(X), X.mean(axis=0), 1.0
    spread = np.ptp(X, axis=0)
    for _ in range(50):
        X = W @ X
        bound *= spectra.rho(W)
        assert disagreement(X) <= bound * start + 1e-12
        assert np.allclose(X.mean(axis=0), mean, atol=1e-12)
        assert (np.ptp(X, axis=0) <= spread + 1e-12).all()
        spread = np.ptp(X, axis=0)


def test_the_full_mesh_agrees_on_the_mean_after_one_round() -> None:
    """Row 7: W = J."""
    X = np.random.default_rng(1).standard_normal((9, 4))
    after = mixing.metropolis_weights(topologies.full_mesh(9)) @ X
    assert np.allclose(after, X.mean(axis=0), atol=1e-14)


def test_renaming_the_nodes_renames_the_result() -> None:
    """Section 3.2."""
    graph = topologies.scale_free(12, 2, seed=1)
    order = np.random.default_rng(3).permutation(12)
    renamed = nx.relabel_nodes(graph, dict(enumerate(order.tolist())))
    X = np.random.default_rng(4).standard_normal((12, 3))
    moved = np.empty_like(X)
    moved[order] = X
    mixed = mixing.metropolis_weights(renamed) @ moved[list(renamed)]
    assert np.allclose(mixed, (mixing.metropolis_weights(graph) @ X), atol=1e-14)


def test_second_order_gossip_needs_a_fifth_of_the_rounds_on_the_ring_of_16() -> None:
    """Section 3.2: factor 1e-6 after 52 rounds instead of 266."""
    W = ring_of_16()
    rho = spectra.rho(W)
    omega = 2 / (1 + np.sqrt(1 - rho**2))
    assert spectra.rounds_to_consensus(W, 1e-6) == 266
    mean = np.full((16, 16), 1 / 16)
    before, now, rounds = np.eye(16), W, 1
    while np.linalg.norm(now - mean, 2) > 1e-6:
        before, now, rounds = now, omega * W @ now + (1 - omega) * before, rounds + 1
    assert rounds == 52


def test_rows_still_sum_to_one_when_messages_are_missing() -> None:
    """Row 12."""
    random = np.random.default_rng(2)
    for name in ("ring", "scale_free", "one_way_trust"):
        W = mixing.mixing_weights(topologies.build(name, 16, seed=1))
        lost = random.random((16, 16)) < 0.3
        kept = mixing.without_messages(W, lost)
        assert np.allclose(kept.sum(axis=1), 1, atol=1e-14)
        assert (kept >= 0).all()
        assert not (kept * (lost & ~np.eye(16, dtype=bool))).any()


def lossy_runs(*, runs: int, is_symmetric: bool) -> tuple[Vector, Vector]:
    """Common values and start means of runs on the ring of 16 with 20 % of all messages lost."""
    W = ring_of_16()
    random = np.random.default_rng(12)
    ends, means = np.empty(runs), np.empty(runs)
    for run in range(runs):
        x = random.standard_normal(16)
        means[run] = x.mean()
        for _ in range(150):
            lost = random.random((16, 16)) < 0.2
            lost = np.triu(lost) | np.triu(lost).T if is_symmetric else lost
            x = mixing.without_messages(W, lost) @ x
        assert np.ptp(x) < 0.05
        ends[run] = x.mean()
    return ends, means


def test_independent_losses_move_the_mean_at_random_by_a_known_amount() -> None:
    """Row 12, section 3.3: no systematic shift, but .076 rms (the mean itself has sd .25)."""
    ends, means = lossy_runs(runs=250, is_symmetric=False)
    shift = ends - means
    assert np.sqrt(np.mean(shift**2)) == pytest.approx(0.076, rel=0.15)
    assert abs(shift.mean()) < 4 * 0.076 / np.sqrt(250)


def test_losses_that_both_ends_apply_leave_the_mean_exact() -> None:
    """Row 12, section 3.3."""
    ends, means = lossy_runs(runs=20, is_symmetric=True)
    assert np.abs(ends - means).max() < 1e-13


@pytest.mark.parametrize("n", [5, 16])
def test_a_link_dead_in_one_direction_for_good_shifts_all_weights(n: int) -> None:
    """Row 12, section 3.3: 0 -> 1 dead: pi_0 = 1/S, pi_k = (n + 1 - k)/S, S = n(n + 1)/2."""
    lost = np.zeros((n, n), dtype=bool)
    lost[1, 0] = True
    pi = spectra.stationary_distribution(
        mixing.without_messages(mixing.metropolis_weights(topologies.ring(n)), lost)
    )
    total = n * (n + 1) / 2
    assert pi == pytest.approx(np.array([1, *(n + 1 - k for k in range(1, n))]) / total, abs=1e-10)
    assert pi[1] / pi[0] == pytest.approx(n)


def test_a_node_that_listens_but_is_never_heard_counts_nothing() -> None:
    """Row 12, section 3.3."""
    lost = np.zeros((8, 8), dtype=bool)
    lost[:, 3] = True
    pi = spectra.stationary_distribution(
        mixing.without_messages(mixing.metropolis_weights(topologies.ring(8)), lost)
    )
    assert pi[3] == 0.0
    assert pi.sum() == pytest.approx(1.0)
