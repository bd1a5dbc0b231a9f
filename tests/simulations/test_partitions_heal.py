"""Partitions with heartbeats and rumours: both sides go on, and are one again without a restart."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.gossip import Gossip, make_gossip_swarm
from simulations.network import Network
from simulations.swarm import member_ids
from simulations.training import add_one, by_function
from tests.simulations.chaos import rosters

pytestmark = pytest.mark.slow

NODES = 12
MEMBERS = member_ids(NODES)
LEFT, RIGHT = MEMBERS[:5], MEMBERS[5:]
CUT_S, HEAL_S, END_S = 30.0, 230.0, 400.0


def run_with(cut: Callable[[EventSimulator], None], *, loss: float = 0.02) -> EventSimulator:
    swarm = make_gossip_swarm(
        MEMBERS,
        topologies.static(topologies.full_mesh(NODES)),
        GossipAveraging,
        models={member: Model(np.full(2, 100.0 * i, np.float32)) for i, member in enumerate(MEMBERS)},
        rounds=10**6,
        aggregate=partial(aggregate, mean),
        gossip=Gossip(),
    )
    simulator = EventSimulator(
        swarm, train=by_function(add_one), network=Network(latency_s=0.05, jitter_s=0.05, loss=loss), seed=4
    )
    cut(simulator)
    return simulator


def spread(simulator: EventSimulator) -> float:
    models = [simulator.models[member].params[0] for member in MEMBERS]
    return float(max(models) - min(models))


@pytest.mark.parametrize(
    "cut",
    [
        lambda s: s.partition([LEFT, RIGHT], at_s=CUT_S, heal_s=HEAL_S),
        lambda s: s.partition_oneway(LEFT, RIGHT, at_s=CUT_S, heal_s=HEAL_S),
    ],
    ids=["split", "one way"],
)
def test_both_sides_of_a_partition_train_on_and_converge_together_once_it_heals(
    cut: Callable[[EventSimulator], None],
) -> None:
    simulator = run_with(cut)
    simulator.run(until_s=120.0)
    before = dict(simulator.rounds)
    assert rosters(simulator) == {LEFT, RIGHT}
    simulator.run(until_s=HEAL_S)
    assert all(simulator.rounds[member] >= before[member] + 20 for member in MEMBERS)

    simulator.run(until_s=END_S)

    assert rosters(simulator) == {MEMBERS}
    assert spread(simulator) < 10


def test_heavy_random_loss_parts_nobody_for_long_and_all_converge() -> None:
    simulator = run_with(lambda _: None, loss=0.3)
    simulator.run(until_s=END_S)

    assert rosters(simulator) == {MEMBERS}
    assert spread(simulator) < 10
    assert min(simulator.rounds.values()) >= 10
