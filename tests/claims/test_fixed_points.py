"""Where adapt-then-combine, ``X+ = W (X - eta G(X))``, ends for f_i = (x - b_i)^2 / 2.

The lambda-component of b is multiplied by ``eta lambda / (1 - (1 - eta) lambda)``; the mean over the nodes
is exact, single nodes are not.  A wrong order of the steps fails at once.
"""

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.learning.swarm_learner import Rows
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.training import by_function
from simulations.vectorised import gossip_averaging
from tests.simulations.swarms import many_models_swarm

STEP = 0.2
GRAPHS = [
    pytest.param(topologies.ring(16), id="ring"),
    pytest.param(topologies.torus(3, 4), id="torus"),
    pytest.param(topologies.scale_free(14, m=2, seed=3), id="irregular"),
    pytest.param(topologies.full_mesh(9), id="full mesh"),
]


def optima(nodes: int) -> NDArray[np.float64]:
    return np.random.default_rng([nodes, 42]).normal(size=(nodes, 1))


def fixed_point(W: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    eigenvalues, vectors = np.linalg.eigh(W)
    factors = STEP * eigenvalues / (1 - (1 - STEP) * eigenvalues)
    return np.asarray(vectors @ (factors[:, np.newaxis] * (vectors.T @ b)))


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_nodes_end_where_the_formula_says(graph: nx.Graph) -> None:
    W, b = topologies.metropolis_weights(graph), optima(len(graph))
    assert isinstance(W, np.ndarray)

    def step(X: Rows, round: int) -> Rows:
        return X - STEP * (X - b)

    X = gossip_averaging(np.zeros_like(b), W, 400, train=step)
    assert pytest.approx(fixed_point(W, b), abs=1e-13) == X
    assert X.mean() == pytest.approx(b.mean(), abs=1e-13)


def test_single_nodes_are_off_and_the_other_orders_end_elsewhere() -> None:
    W, b = topologies.metropolis_weights(topologies.ring(16)), optima(16)
    assert isinstance(W, np.ndarray)
    ends = fixed_point(W, b)
    assert np.abs(ends - b.mean()).max() > 0.1
    eigenvalues, vectors = np.linalg.eigh(W)
    combine_first = STEP / (1 - (1 - STEP) * eigenvalues)
    in_parallel = STEP / (1 - eigenvalues + STEP)
    for factors in (combine_first, in_parallel):
        other = vectors @ (factors[:, np.newaxis] * (vectors.T @ b))
        assert np.abs(ends - other).max() > 0.05


@pytest.mark.parametrize("graph", GRAPHS[:3])
def test_averaging_contracts_by_the_second_eigenvalue_along_its_vector_and_faster_elsewhere(
    graph: nx.Graph,
) -> None:
    W = topologies.metropolis_weights(graph)
    assert isinstance(W, np.ndarray)
    nodes, rho = len(graph), topologies.slem(W)
    eigenvalues, vectors = np.linalg.eigh(W - 1 / nodes)
    slowest = vectors[:, [np.argmax(np.abs(eigenvalues))]]
    rounds = 12
    along = gossip_averaging(slowest, W, rounds)
    assert np.linalg.norm(along) == pytest.approx(rho**rounds, abs=1e-13)
    start = optima(nodes)
    elsewhere = gossip_averaging(start, W, rounds)
    spread = np.linalg.norm(start - start.mean())
    assert np.linalg.norm(elsewhere - start.mean()) <= rho**rounds * spread + 1e-13


def test_a_full_mesh_has_agreed_after_one_round() -> None:
    start = optima(9)
    X = gossip_averaging(start, topologies.metropolis_weights(topologies.full_mesh(9)), 1)
    assert pytest.approx(start.mean(), abs=1e-15) == X


def identity(member: str, model: Model) -> Model:
    return Model(model.params, model.age + 1)


def test_the_protocol_contracts_as_the_matrix_does() -> None:
    graph, rounds = topologies.ring(16), 12
    W = topologies.metropolis_weights(graph)
    assert isinstance(W, np.ndarray)
    _, vectors = np.linalg.eigh(W)
    slowest = vectors[:, [-2]]
    swarm = many_models_swarm(graph, GossipAveraging, slowest, rounds=rounds)
    simulator = EventSimulator(swarm, train=by_function(identity))
    for done in range(1, rounds + 1):
        simulator.run(until_s=done + 0.5)
        X = [float(simulator.models[member].params[0]) for member in swarm.members]
        assert set(simulator.rounds.values()) == {done}
        assert np.linalg.norm(X) == pytest.approx(topologies.slem(W) ** done, abs=1e-6)
    assert topologies.slem(W) == pytest.approx(0.94925302, abs=1e-8)


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_protocol_ends_where_the_formula_says(graph: nx.Graph) -> None:
    W, b = topologies.metropolis_weights(graph), optima(len(graph))
    assert isinstance(W, np.ndarray)

    def step(member: str, model: Model) -> Model:
        moved = model.params - np.float32(STEP) * (model.params - b[int(member)].astype(np.float32))
        return Model(moved, model.age + 1)

    swarm = many_models_swarm(graph, GossipAveraging, np.zeros_like(b), rounds=120)
    simulator = EventSimulator(swarm, train=by_function(step))
    simulator.run()
    X = np.stack([simulator.models[member].params for member in swarm.members])
    assert pytest.approx(fixed_point(W, b), abs=2e-6) == X
