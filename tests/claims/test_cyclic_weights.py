"""What a cyclic pass computes: recency weights, and plain SGD over the parties in their order.

For f_k = (x - b_k)^2 / 2 and E local steps of size eta, with a = (1 - eta)^E, a cycle ends at
``sum_k w_k b_k``, ``w_k = (1 - a) a^(K - k) / (1 - a^K)``: large E forgets everyone but the last.
Reference: Chang et al., "Distributed deep learning networks among institutions", JAMIA 25(8), 2018.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.data.dataset import Samples
from p2pfl.data.digits import digits
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.numpy_learner import SoftmaxTask, digits_softmax
from p2pfl.learning.swarm_learner import Rows
from p2pfl.model import Model
from p2pfl.protocols.cyclic_pass import CyclicPass
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.swarm import member_ids
from simulations.training import by_function, by_learners
from simulations.vectorised import walk
from tests.simulations.swarms import one_model_swarm

STEP = 0.1
PARTIES = 5
WEIGHTS = {
    1: (0.1602, 0.1780, 0.1978, 0.2198, 0.2442),
    5: (0.0536, 0.0908, 0.1538, 0.2605, 0.4412),
    50: (0.0, 0.0, 0.0, 0.0051, 0.9948),
}


def closed_form(local_steps: int) -> NDArray[np.float64]:
    a = (1 - STEP) ** local_steps
    return np.asarray((1 - a) * a ** np.arange(PARTIES - 1.0, -1, -1) / (1 - a**PARTIES))


@pytest.mark.parametrize("local_steps", WEIGHTS)
def test_the_end_of_a_cycle_weighs_the_parties_by_recency(local_steps: int) -> None:
    optima = np.eye(PARTIES)  # b_k is the k-th unit vector, so that the model is the weights

    def train(node: int, x: Rows, age: int) -> Rows:
        for _ in range(local_steps):
            x = x - STEP * (x - optima[node])
        return x

    ends = walk(np.zeros(PARTIES), [*range(PARTIES)] * 80, train)
    assert ends == pytest.approx(closed_form(local_steps), abs=1e-12)
    assert ends == pytest.approx(WEIGHTS[local_steps], abs=6e-5)


def test_the_protocol_computes_these_weights() -> None:
    members = member_ids(PARTIES)
    optima = dict(zip(members, np.eye(PARTIES, dtype=np.float32), strict=True))

    def train(member: str, model: Model) -> Model:
        moved = model.params - np.float32(STEP) * (model.params - optima[member])
        return Model(moved, model.age + 1)

    swarm = one_model_swarm(topologies.ring(PARTIES), CyclicPass, np.zeros(PARTIES), rounds=40 * PARTIES)
    simulator = EventSimulator(swarm, train=by_function(train))
    simulator.run()
    for member in members:
        assert simulator.models[member].params == pytest.approx(closed_form(1), abs=1e-6)


def parts(count: int, rows: int) -> list[Samples]:
    train = digits().train
    return [train.take(np.arange(i * rows, (i + 1) * rows)) for i in range(count)]


def test_one_pass_over_each_part_is_sgd_over_the_parts_in_order_to_the_byte() -> None:
    shares, laps, batch = parts(PARTIES, 60), 3, 20

    def in_order(samples: Samples, params: NDArray[np.float32]) -> NDArray[np.float32]:
        for start in range(0, len(samples), batch):
            params = sgd_step(samples.take(np.arange(start, start + batch)), params)
        return params

    members = member_ids(PARTIES)
    share_of = dict(zip(members, shares, strict=True))

    def train(member: str, model: Model) -> Model:
        return Model(in_order(share_of[member], model.params), model.age + 1)

    start = np.zeros(650, np.float32)
    swarm = one_model_swarm(topologies.ring(PARTIES), CyclicPass, start, rounds=laps * PARTIES)
    simulator = EventSimulator(swarm, train=by_function(train))
    simulator.run()
    stream = Samples(
        np.concatenate([share.inputs for share in shares]), np.concatenate([share.labels for share in shares])
    )
    central = start
    for _ in range(laps):
        central = in_order(stream, central)
    for member in members:
        assert simulator.models[member].params.tobytes() == central.tobytes()


def test_a_full_mesh_that_adapts_then_combines_is_large_batch_sgd() -> None:
    nodes, rows, rounds = 4, 50, 8
    shares = parts(nodes, rows)
    whole = digits().train.take(np.arange(nodes * rows))

    def task(batch_size: int) -> SoftmaxTask:
        return digits_softmax.with_options(batch_size=batch_size, local_epochs=1, step=0.5)

    members = member_ids(nodes)
    learners = {
        member: task(rows).learner(share, share, LearnerSetup(number=i, rounds=rounds))
        for i, (member, share) in enumerate(zip(members, shares, strict=True))
    }
    start = learners[members[0]].initial()
    swarm = one_model_swarm(topologies.full_mesh(nodes), GossipAveraging, start.params, rounds=rounds)
    simulator = EventSimulator(swarm, train=by_learners(learners))
    simulator.run()
    central = start
    large = task(nodes * rows).learner(whole, whole, LearnerSetup(rounds=rounds))
    for _ in range(rounds):
        central, _ = large.train(central, {})
    assert np.abs(central.params - start.params).max() > 0.1
    for member in members:
        assert simulator.models[member].params == pytest.approx(central.params, abs=1e-6)


def sgd_step(batch: Samples, params: NDArray[np.float32]) -> NDArray[np.float32]:
    """One step of softmax regression, written down once more, independently of the learner."""
    weight, bias = params[:640].reshape(64, 10), params[640:]
    outputs = batch.inputs.reshape(len(batch), -1) @ weight + bias
    odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    error = odds / odds.sum(axis=1, keepdims=True)
    error[np.arange(len(batch)), batch.labels] -= 1
    error /= len(batch)
    gradient = np.concatenate([(batch.inputs.reshape(len(batch), -1).T @ error).ravel(), error.sum(axis=0)])
    moved: NDArray[np.float32] = params - np.float32(STEP) * gradient.astype(np.float32)
    return moved
