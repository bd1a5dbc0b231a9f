from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.events import Adopt, Effect, Message, Received, Send, Started, Train, Trained
from p2pfl.finiteness import MUTED_ROUNDS, STRIKES, FiniteGate, is_finite_message
from p2pfl.learning.learner import TrainingState
from p2pfl.model import Array, Model
from p2pfl.protocols.cyclic_pass import CyclicPass
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.training import Answer, Asked, by_function
from tests.simulations.swarms import one_model_swarm

GOOD = Model(np.ones(3, np.float32), 5)


def model_with(number: float, age: int = 5) -> Model:
    return Model(np.array([1.0, number, 1.0], np.float32), age)


def message(model: Model | None = None, *body: Array) -> Message:
    return Message("model", 1, model, body=body)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_no_number_that_is_none_comes_in_or_goes_out_wherever_it_stands(number: float) -> None:
    second: NDArray[np.float64] = np.array([number])
    for bad in (
        message(model_with(number)),
        message(GOOD, second),
        message(Model(GOOD.params, 5, weight=number)),
    ):
        gate = FiniteGate()
        assert gate.objection("b", bad)
        assert gate.filtered([Send("b", bad), Send("c", bad)]) == []
        assert (gate.refused["b"], gate.withheld, gate.take_news()) == (1, 2, [("b", "not_finite")])
    assert is_finite_message(message(GOOD, np.array([255], np.uint8)))


def test_three_strikes_mute_a_peer_for_ten_rounds_and_nobody_else() -> None:
    gate = FiniteGate()
    gate.filtered([Adopt(GOOD, 4)])
    for _ in range(STRIKES - 1):
        gate.objection("b", message(model_with(np.nan)))
        assert not gate.objection("b", message(GOOD))
    gate.objection("b", message(model_with(np.nan)))

    assert gate.objection("b", message(GOOD))
    assert not gate.objection("c", message(GOOD))
    gate.filtered([Adopt(GOOD, 4 + MUTED_ROUNDS - 1)])
    assert gate.objection("b", message(GOOD))
    gate.filtered([Adopt(GOOD, 4 + MUTED_ROUNDS)])
    assert not gate.objection("b", message(GOOD))
    assert gate.refused == {"b": STRIKES + 2}
    assert [why for _, why in gate.take_news()] == ["not_finite"] * STRIKES + ["muted"] * 2
    assert gate.take_news() == []


def test_a_training_that_gives_no_model_is_put_back_to_the_model_that_was_given() -> None:
    gate = FiniteGate()
    train: list[Effect] = [Train(GOOD)]
    gate.filtered(train)

    assert gate.trained(model_with(np.nan, age=6)) is GOOD
    assert gate.rolled_back == 1
    gate.filtered(train)
    better = Model(GOOD.params + 1, 6)
    assert gate.trained(better) is better


@pytest.mark.parametrize("make", [GossipAveraging, CyclicPass])
def test_in_a_swarm_a_node_that_diverges_spoils_nothing(make: type) -> None:
    """NaN or Inf in the own model: back to the last good one; none leaves, none enters."""

    def train(member: str, model: Model) -> Model:
        change = np.float32(np.nan if member == "00001" else 1)
        return Model(model.params + change, model.age + 1, model.weight)

    swarm = one_model_swarm(topologies.ring(4), make, np.zeros(2), rounds=8)
    simulator = EventSimulator(swarm, train=by_function(train))
    simulator.run()

    assert len(simulator.finished) == 4
    assert all(np.isfinite(model.params).all() for model in simulator.models.values())
    nodes = {member: simulator.node(member) for member in simulator.members}
    assert nodes["00001"].finite.rolled_back == (8 if make is GossipAveraging else 2)
    assert sum(node.finite.rolled_back for node in nodes.values()) == nodes["00001"].finite.rolled_back
    assert sum(sum(node.finite.refused.values()) + node.finite.withheld for node in nodes.values()) == 0


def test_nobody_waits_for_a_muted_peer_until_its_rounds_are_over() -> None:
    swarm = one_model_swarm(topologies.ring(3), GossipAveraging, np.zeros(3), rounds=20)
    node = swarm.make_node("00000", frozenset({"00001", "00002"}))
    node.handle(Started(), 0.0)
    for _ in range(STRIKES):
        node.handle(Received("00001", message(model_with(np.nan))), 0.0)
    assert node.view is not None
    assert node.view.accepted == {"00000", "00002"}

    for number in range(MUTED_ROUNDS + 1):
        model = Model(np.ones(3, np.float32), number + 1)
        node.handle(Trained(model), float(number))
        node.handle(Received("00002", Message("model", number, model)), float(number))

    assert node.view.accepted == {"00000", "00001", "00002"}


def test_trained_and_started_pass_a_gate_that_has_nothing_to_say() -> None:
    swarm = one_model_swarm(topologies.ring(3), GossipAveraging, np.zeros(1), rounds=1)
    node = swarm.make_node("00000", frozenset({"00001", "00002"}))
    effects = node.handle(Started(), 0.0)
    assert any(isinstance(effect, Train) for effect in effects)

    sent = [e for e in node.handle(Trained(Model(np.ones(1, np.float32), 1)), 1.0) if isinstance(e, Send)]

    assert [send.to for send in sent] == ["00001", "00002"]


def test_no_bad_model_of_a_trusted_peer_enters_the_average_and_all_are_counted() -> None:
    """NaN, infinity, another shape, a huge norm, a stale round."""
    swarm = one_model_swarm(topologies.full_mesh(7), GossipAveraging, np.zeros(3), rounds=9)
    members = [f"{number:05d}" for number in range(7)]
    node = swarm.make_node(members[0], frozenset(members[1:]))
    node.handle(Started(), 0.0)
    node.handle(Trained(Model(np.ones(3, np.float32), 1)), 1.0)
    bad = [
        np.array([1, np.nan, 1], np.float32),
        np.array([1, np.inf, 1], np.float32),
        np.ones(4, np.float32),
        np.full(3, 1e30, np.float32),
        np.full(3, 1e7, np.float32),
    ]
    for sender, params in zip(members[1:6], bad, strict=True):
        assert node.handle(Received(sender, Message("model", 0, Model(params, 1))), 1.0) == []
    for sender in members[1:6]:  # they do better in the next round
        node.handle(Received(sender, Message("model", 1, Model(np.full(3, 9, np.float32), 2))), 1.0)
    effects = node.handle(Received(members[6], Message("model", 0, Model(np.full(3, 8, np.float32), 1))), 1.0)

    (adopt,) = [effect for effect in effects if isinstance(effect, Adopt)]
    assert adopt.merged == (members[6],)
    assert adopt.missing == tuple(members[1:6])
    assert adopt.model.params == pytest.approx((6 + 8) / 7)
    assert node.finite.reasons == {"not_finite": 2, "wrong_shape": 1, "too_large": 2}
    assert node.finite.refused == dict.fromkeys(members[1:6], 1)

    stale = Message("model", 0, Model(np.full(3, 99, np.float32), 1))
    for _ in range(4):
        node.handle(Received(members[6], stale), 1.0)
    node.handle(Trained(Model(np.full(3, 2, np.float32), 2)), 2.0)
    effects = node.handle(Received(members[6], Message("model", 1, Model(np.full(3, 2, np.float32), 2))), 2.0)
    (adopt,) = [effect for effect in effects if isinstance(effect, Adopt)]
    assert adopt.model.params == pytest.approx((2 * 2 + 5 * 9) / 7)
    assert isinstance(node.protocol, GossipAveraging)
    assert node.protocol.late == {members[6]: 4}


def test_a_simulated_learner_s_state_is_put_back_with_its_model() -> None:
    states: list[int] = []

    def train(asked: Sequence[Asked]) -> Sequence[Answer]:
        (one,) = asked
        steps = int(one.state["steps"][0]) if one.state else 0
        states.append(steps)
        is_bad = one.request.model.age == 1 and len(states) < 4
        params = np.full(2, np.nan if is_bad else 1.0, np.float32)
        state: TrainingState = {"steps": np.array([steps + 1])}
        return [(Model(params, one.request.model.age + 1), state)]

    EventSimulator(
        one_model_swarm(topologies.line(1), GossipAveraging, np.zeros(2), rounds=5), train=train
    ).run()

    assert states == [0, 1, 1, 1, 2]
