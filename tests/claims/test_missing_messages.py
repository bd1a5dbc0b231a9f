"""What lost messages do to averaging: the weight of a missing neighbour returns to the node itself.

Rows of W still sum to 1, columns do not: agreement survives and the mean moves.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.events import Adopt
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.training import by_function
from simulations.vectorised import gossip_averaging
from tests.simulations.swarms import many_models_swarm

NODES = 16
LOSS = 0.2
RING = topologies.metropolis_weights(topologies.ring(NODES))


def limit_weights(W: NDArray[np.float64], rounds: int = 4000) -> NDArray[np.float64]:
    """How much each start value counts in the common value: the rows of W^rounds."""
    return np.asarray(gossip_averaging(np.eye(len(W)), W, rounds))


def drops(random: np.random.Generator, *, by_both: bool) -> NDArray[np.bool_]:
    lost = random.random((NODES, NODES)) < LOSS
    return np.triu(lost) | np.triu(lost).T if by_both else lost


def common_weights(seed: int, *, by_both: bool) -> NDArray[np.float64]:
    """The weights of the start values after 400 rounds with independent drops."""
    random = np.random.default_rng([seed, 33])
    mixed = gossip_averaging(
        np.eye(NODES), lambda _: topologies.without_messages(RING, drops(random, by_both=by_both)), 400
    )
    assert np.ptp(mixed, axis=0) == pytest.approx(0, abs=1e-6)  # the nodes agree
    return np.asarray(mixed.mean(axis=0))


def test_agreement_survives_but_its_value_is_off_by_as_much_as_computed() -> None:
    weights = np.array([common_weights(seed, by_both=False) for seed in range(40)])
    off = weights - 1 / NODES
    # For start values of variance 1 the squared error of the common value is the squared length of this.
    assert np.sqrt((off**2).sum(axis=1).mean()) == pytest.approx(0.076, rel=0.1)
    assert np.abs(off.mean(axis=0)).max() < 0.012  # and no node is favoured: four standard errors


def test_drops_that_both_ends_apply_leave_the_mean_exact() -> None:
    for seed in range(5):
        assert common_weights(seed, by_both=True) == pytest.approx(1 / NODES, abs=1e-13)


def test_a_link_dead_in_one_direction_favours_the_node_that_no_longer_listens() -> None:
    lost = np.zeros((NODES, NODES), bool)
    lost[1, 0] = True  # the message of 0 to 1
    total = NODES * (NODES + 1) / 2
    expected = np.array([1.0, *(NODES + 1.0 - k for k in range(1, NODES))]) / total
    W = topologies.without_messages(RING, lost)
    assert topologies.stationary_distribution(W) == pytest.approx(expected, abs=1e-10)
    assert limit_weights(W)[3] == pytest.approx(expected, abs=1e-10)
    assert expected[1] / expected[0] == pytest.approx(16)


def test_a_node_that_listens_but_is_never_heard_counts_for_nothing() -> None:
    lost = np.zeros((NODES, NODES), bool)
    lost[:, 5] = True
    weights = limit_weights(topologies.without_messages(RING, lost))
    assert weights[:, 5] == pytest.approx(0, abs=1e-12)
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_rows_sum_to_one_after_any_drops() -> None:
    random = np.random.default_rng(12)
    graphs = [topologies.scale_free(20, m=2, seed=1), topologies.one_way_trust(20, out_degree=3, seed=1)]
    for graph in graphs:
        W = topologies.mixing_weights(graph)
        assert isinstance(W, np.ndarray)
        kept = topologies.without_messages(W, random.random(W.shape) < 0.5)
        assert kept.sum(axis=1) == pytest.approx(1, abs=1e-12)
        assert kept.min() >= 0


def test_the_protocol_under_loss_is_the_recursion_with_the_weights_returned() -> None:
    rounds, starts = 15, np.random.default_rng(5).normal(size=(NODES, 3))
    heard = np.zeros((rounds, NODES, NODES), bool)

    def watch(member: str, adopt: Adopt, now_s: float) -> None:
        heard[adopt.round - 1, int(member), [int(sender) for sender in adopt.merged]] = True

    def keep(member: str, model: Model) -> Model:
        return Model(model.params, model.age + 1)

    swarm = many_models_swarm(topologies.ring(NODES), GossipAveraging, starts, rounds=rounds)
    network = Network(latency_s=0.05, loss=LOSS)
    simulator = EventSimulator(swarm, train=by_function(keep), network=network, seed=6, watch=watch)
    simulator.run()
    assert simulator.lost > 0.1 * rounds * 2 * NODES
    expected = gossip_averaging(starts, lambda done: topologies.without_messages(RING, ~heard[done]), rounds)
    found = np.stack([simulator.models[member].params for member in swarm.members])
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.abs(found.mean(axis=0) - starts.mean(axis=0)).max() > 1e-3  # the mean has moved
