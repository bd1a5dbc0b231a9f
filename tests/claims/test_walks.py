"""How often a walk visits whom, and what that does to the model it carries.

Reference: Ayache, El Rouayheb et al., arXiv 2206.00737.
"""

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.events import View
from p2pfl.learning.swarm_learner import Rows
from p2pfl.protocols import cyclic_pass, random_walk
from p2pfl.roster import GraphWiring
from simulations.swarm import member_ids
from simulations.vectorised import walk

HOPS = 20_000
IRREGULAR = topologies.scale_free(12, m=2, seed=5)


def path(graph: nx.Graph, rule: str, *, hops: int = HOPS, seed: int = 11) -> list[int]:
    """The nodes that a walk visits when nothing fails."""
    members = member_ids(len(graph))
    wiring = GraphWiring(members, topologies.static(graph))
    view = View(members[0], members, frozenset(members), frozenset(members), wiring)
    numbers = {member: number for number, member in enumerate(members)}
    return [numbers[m] for m in random_walk.visits(view, numbers, seed=seed, rounds=hops, rule=rule)]


def transitions(graph: nx.Graph, rule: str) -> NDArray[np.float64]:
    """P of the rule, from its definition."""
    degree = dict(graph.degree)
    P = np.zeros((len(graph), len(graph)))
    for u, v in [*graph.edges, *((v, u) for u, v in graph.edges)]:
        P[u, v] = 1 / degree[u] if rule == "uniform" else min(1 / degree[u], 1 / degree[v])
    np.fill_diagonal(P, 1 - P.sum(axis=1))
    return P


def shares(graph: nx.Graph, rule: str) -> NDArray[np.float64]:
    """The long-run share of visits: d_i / 2E for the simple walk, uniform for Metropolis-Hastings."""
    degree = np.array([d for _, d in graph.degree], float)
    return degree / degree.sum() if rule == "uniform" else np.full(len(graph), 1 / len(graph))


@pytest.mark.parametrize("rule", random_walk.RULES)
def test_visits_come_as_often_as_the_long_run_shares_say(rule: str) -> None:
    P, pi = transitions(IRREGULAR, rule), shares(IRREGULAR, rule)
    assert pi @ P == pytest.approx(pi, abs=1e-12)
    found = np.bincount(path(IRREGULAR, rule), minlength=12) / HOPS
    # Visits are correlated: the variance of a share grows by (1 + l) / (1 - l).
    reversible = np.sqrt(pi)[:, np.newaxis] * P / np.sqrt(pi)
    second = np.sort(np.linalg.eigvalsh((reversible + reversible.T) / 2))[-2]
    deviation = np.sqrt(pi * (1 - pi) / HOPS * (1 + second) / (1 - second))
    assert np.all(np.abs(found - pi) < 4.5 * deviation)
    # The test can tell the two rules apart.
    other = shares(IRREGULAR, "uniform" if rule != "uniform" else "metropolis_hastings")
    assert np.any(np.abs(found - other) > 6 * deviation)


@pytest.mark.parametrize("rule", random_walk.RULES)
def test_every_step_has_the_probability_of_its_rule(rule: str) -> None:
    P = transitions(IRREGULAR, rule)
    visited = path(IRREGULAR, rule)
    found = np.zeros_like(P)
    np.add.at(found, (visited[:-1], visited[1:]), 1)
    left = found.sum(axis=1, keepdims=True)
    assert np.all(found[P == 0] == 0)
    assert np.all(np.abs(found / left - P) <= 4.5 * np.sqrt(P * (1 - P) / left) + 1e-12)


def test_the_metropolis_hastings_rule_is_symmetric() -> None:
    P = transitions(IRREGULAR, "metropolis_hastings")
    assert pytest.approx(P.T) == P


def variance_of_the_model(graph: nx.Graph, b: NDArray[np.float64], step: float) -> float:
    """Of the model that a walk carries over f_i = (x - b_i)^2 / 2, in the long run."""
    seen: list[float] = []

    def train(node: int, x: Rows, age: int) -> Rows:
        x = x - step * (x - b[node])
        seen.append(float(x[0]))
        return x

    walk(np.zeros(1), path(graph, "uniform"), train)
    return float(np.var(seen[500:]))


def expected_variance(b: NDArray[np.float64], step: float, eigenvalue: float) -> float:
    correlation = (1 - step) * eigenvalue
    return step / (2 - step) * float(np.var(b)) * (1 + correlation) / (1 - correlation)


def test_draws_on_a_full_mesh_leave_the_variance_of_almost_independent_ones() -> None:
    b = np.random.default_rng(3).normal(size=8)
    # A walk never stays: all of b's components have the eigenvalue -1 / (n - 1).
    expected = expected_variance(b - b.mean(), 0.1, -1 / 7)
    assert variance_of_the_model(topologies.full_mesh(8), b, 0.1) == pytest.approx(expected, rel=0.1)


def test_correlated_visits_add_noise_as_the_eigenvalue_says() -> None:
    b = np.cos(2 * np.pi * 2 * np.arange(16) / 16)  # an eigenvector of the walk on the ring
    expected = expected_variance(b, 0.1, np.cos(2 * np.pi * 2 / 16))
    assert variance_of_the_model(topologies.ring(16), b, 0.1) == pytest.approx(expected, rel=0.15)
    assert expected > 4 * expected_variance(b, 0.1, 0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("ring", 6 * 5 / 2, id="ring: n (n - 1) / 2"),
        pytest.param("full_mesh", 5 * sum(1 / k for k in range(1, 6)), id="full mesh: (n - 1) H"),
    ],
)
def test_hops_until_everyone_has_been_seen(name: str, expected: float) -> None:
    graph, runs = topologies.build(name, 6), 300

    def hops(seed: int) -> int:
        seen: set[int] = set()
        for hop, node in enumerate(path(graph, "uniform", hops=80, seed=seed)):
            seen.add(node)
            if len(seen) == 6:
                return hop
        return 80

    assert np.mean([hops(seed) for seed in range(runs)]) == pytest.approx(expected, rel=0.08)


def test_a_fresh_permutation_visits_everyone_exactly_once_per_lap() -> None:
    members = member_ids(7)
    visits = cyclic_pass.visits(members, seed=4, rounds=70, order="permutation")
    laps = [visits[start : start + 7] for start in range(0, 70, 7)]
    assert all(Counter(lap) == Counter(members) for lap in laps)
    assert len({tuple(lap) for lap in laps}) > 5
