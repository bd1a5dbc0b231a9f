"""Push-sum: the exact mean on digraphs, where SGP ends, and what the well-known mistakes would give.

Values are those of the four-node digraph 0->1 1->2 2->3 3->0 0->2 1->3 0->3 with x = b = (1, 2, 3, 4).
References: Kempe, Dobra, Gehrke 2003; Hadjicostis, Vaidya, Dominguez-Garcia 2016; Assran et al. 2019.
"""

from functools import partial

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.learning.swarm_learner import Rows
from p2pfl.model import Model
from p2pfl.protocols.push_sum import PushSum
from p2pfl.protocols.push_sum_book import Vector
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.swarm import member_ids
from simulations.training import by_function
from simulations.vectorised import gossip_averaging
from simulations.vectorised_push_sum import push_sum
from tests.simulations.swarms import many_models_swarm

FOUR = nx.DiGraph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3), (0, 3)])
FOUR_IN_ORDER = nx.DiGraph()
FOUR_IN_ORDER.add_nodes_from(range(4))
FOUR_IN_ORDER.add_edges_from(FOUR.edges)
OPTIMA = np.arange(1.0, 5.0)[:, np.newaxis]
STEP = 0.1
HOSTILE = Network(
    latency_s=0.05, jitter_s=3.0, loss=0.2, duplicate=0.1, reorder=0.3, reorder_delay_s=5.0, keeps_order=False
)


def pull(X: Rows, round: int) -> Rows:
    return X - STEP * (X - OPTIMA)


def unchanged(member: str, model: Model) -> Model:
    return Model(model.params, model.age + 1, model.weight)


def random_digraph(seed: int) -> nx.DiGraph:
    """Three to eight nodes, strongly connected; odd out-degrees from one to all."""
    random = np.random.default_rng([seed, 7])
    nodes = int(random.integers(3, 9))
    graph = topologies.one_way_trust(nodes, out_degree=int(random.integers(1, nodes)), seed=seed)
    extra = [(int(u), int(v)) for u, v in random.integers(nodes, size=(nodes, 2)) if u != v]
    graph.add_edges_from(extra)
    return graph


def held(simulator: EventSimulator, member: str) -> tuple[Vector, float]:
    """(s, w) in float64; what is adopted is rounded to float32."""
    snapshot = simulator.node(member).snapshot()
    weight = snapshot.values["protocol.weight"]
    assert isinstance(weight, float)
    return snapshot.arrays["protocol.sum"].astype(np.float64), weight


def total_weight(simulator: EventSimulator, members: tuple[str, ...]) -> float:
    """Of all nodes, and of what is in flight."""
    total = 0.0
    for member in members:
        protocol = simulator.node(member).protocol
        assert isinstance(protocol, PushSum)
        weight, pushed, had = protocol.mass()
        assert weight > 0
        total += weight + sum(pushed.values()) - sum(had.values())
    return total


def worst_error(seed: int, network: Network, rounds: int) -> float:
    """The greatest distance of any z from the mean; weighs all mass on the way."""
    graph = random_digraph(seed)
    members = member_ids(len(graph))
    X = np.random.default_rng([seed, 8]).normal(size=(len(graph), 3)).astype(np.float32)
    swarm = many_models_swarm(graph, partial(PushSum, mixing_rounds=4), X, rounds=rounds, seed=seed)
    simulator = EventSimulator(swarm, train=by_function(unchanged), network=network, seed=seed)
    for until_s in (0.5, 1.2, 2.7, 9.3, 40.1, 150.2):
        simulator.run(until_s=until_s)
        assert total_weight(simulator, members) == pytest.approx(len(graph), abs=1e-9), f"seed {seed}"
    simulator.run()
    assert set(simulator.finished) == set(members)
    assert total_weight(simulator, members) == pytest.approx(len(graph), abs=1e-9), f"seed {seed}"
    mean = X.astype(np.float64).mean(axis=0)
    found = [held(simulator, member) for member in members]
    return max(float(np.abs(s / w - mean).max()) for s, w in found)


@pytest.mark.parametrize("seed", range(2))
def test_every_node_ends_at_the_exact_mean_on_a_random_digraph(seed: int) -> None:
    assert worst_error(seed, Network(), rounds=90) < 1e-9


@pytest.mark.parametrize("seed", [0, 2])
def test_so_it_does_when_messages_are_lost_repeated_and_reordered(seed: int) -> None:
    assert worst_error(seed, HOSTILE, rounds=150) < 1e-9


@pytest.mark.slow
def test_every_node_ends_at_the_exact_mean_on_two_hundred_digraphs() -> None:
    assert max(worst_error(seed, Network(), rounds=90) for seed in range(200)) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 200, 25))
def test_so_it_does_on_two_hundred_digraphs_under_loss(first: int) -> None:
    assert max(worst_error(seed, HOSTILE, rounds=120) for seed in range(first, first + 25)) < 1e-9


def test_on_four_nodes_push_sum_gives_the_mean_and_averaging_of_what_comes_in_does_not() -> None:
    mean = push_sum(OPTIMA, topologies.push_weights(FOUR_IN_ORDER), 200)
    pulled = gossip_averaging(OPTIMA, topologies.receive_weights(FOUR_IN_ORDER), 400)
    assert mean == pytest.approx(np.full((4, 1), 2.5), abs=1e-12)
    assert pulled == pytest.approx(np.full((4, 1), 65 / 29), abs=1e-9)  # 2.241379


def test_starting_weights_give_the_weighted_mean() -> None:
    weights = np.array([1.0, 2.0, 3.0, 10.0])
    mean = push_sum(OPTIMA, topologies.push_weights(FOUR_IN_ORDER), 200, weights=weights)
    assert mean == pytest.approx(np.full((4, 1), float(weights @ OPTIMA[:, 0]) / 16), abs=1e-12)


def test_with_a_constant_step_nodes_differ_and_their_plain_mean_is_exact() -> None:
    z = push_sum(np.zeros((4, 1)), topologies.push_weights(FOUR_IN_ORDER), 3000, train=pull, mixing_rounds=1)
    assert z[:, 0] == pytest.approx([2.5897, 2.3976, 2.4625, 2.5501], abs=5e-5)
    assert z.mean() == pytest.approx(2.5, abs=1e-12)


def test_the_protocol_ends_there_too() -> None:
    def train(member: str, model: Model) -> Model:
        params = model.params - STEP * (model.params - OPTIMA[int(member)])
        return Model(params.astype(np.float32), model.age + 1, model.weight)

    swarm = many_models_swarm(FOUR_IN_ORDER, partial(PushSum, mixing_rounds=1), np.zeros((4, 1)), rounds=250)
    simulator = EventSimulator(swarm, train=by_function(train))
    simulator.run()
    z = [float(simulator.models[member].params[0]) for member in member_ids(4)]
    assert z == pytest.approx([2.5897, 2.3976, 2.4625, 2.5501], abs=5e-5)
    assert np.mean(z) == pytest.approx(2.5, abs=1e-6)


def test_a_step_that_falls_to_zero_brings_all_to_the_mean() -> None:
    def decaying(X: Rows, round: int) -> Rows:
        return X - STEP / (1 + 0.05 * round) * (X - OPTIMA)

    z = push_sum(np.zeros((4, 1)), topologies.push_weights(FOUR_IN_ORDER), 6000, train=decaying)
    assert z == pytest.approx(np.full((4, 1), 2.5), abs=1e-3)


def naive_sgp(C: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """The mistake: the sum is set to w times the trained model."""
    s, w = np.zeros((4, 1)), np.ones((4, 1))
    for done in range(rounds):
        s = C @ (w * pull(s / w, done))
        w = C @ w
    return s / w


def test_totals_in_single_precision_would_lose_digits_as_they_grow() -> None:
    """Why totals are float64: after 3000 pushes a share is the difference of two large numbers."""
    shares = np.random.default_rng(6).random(3000)
    wrong = {
        dtype: np.abs(np.diff(np.cumsum(shares, dtype=dtype)) - shares[1:]).max()
        for dtype in (np.float32, np.float64)
    }
    assert wrong[np.float32] > 1e-5
    assert wrong[np.float64] < 1e-12


def test_setting_the_sum_to_weight_times_trained_weights_each_loss_by_the_weight() -> None:
    C = topologies.push_weights(FOUR_IN_ORDER)
    assert isinstance(C, np.ndarray)
    phi = topologies.stationary_distribution(C.T)
    z, w = naive_sgp(C, 3000), 4 * phi
    assert (w @ z)[0] / 4 == pytest.approx(float(phi @ OPTIMA[:, 0]), abs=1e-9)
    assert float(phi @ OPTIMA[:, 0]) == pytest.approx(2.7586, abs=5e-5)


def test_plain_shares_would_vanish_with_the_messages_that_are_lost() -> None:
    """Why messages carry totals: 16 nodes, one share in five lost, for 200 rounds."""
    C = topologies.push_weights(topologies.one_way_trust(16, out_degree=3, seed=1))
    assert isinstance(C, np.ndarray)
    random = np.random.default_rng(5)
    w = np.ones(16)
    for _ in range(200):
        lost = (random.random(C.shape) < 0.2) & ~np.eye(16, dtype=bool)
        w = np.where(lost, 0.0, C) @ w
    assert w.sum() < 1e-9
