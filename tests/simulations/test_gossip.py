"""Rosters that change by rumours, in virtual time."""

from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.errors import ConfigError
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.gossip import Gossip, make_gossip_swarm, membership_from
from simulations.network import Network
from simulations.swarm import Swarm, member_ids
from simulations.training import add_one, by_function
from tests.simulations.swarms import many_models_swarm


def ring(nodes: int, *, rounds: int, late: frozenset[str] = frozenset()) -> Swarm:
    members = member_ids(nodes)
    whole = many_models_swarm(topologies.ring(nodes), GossipAveraging, np.zeros((nodes, 1)), rounds=rounds)
    assert whole.members == members
    return make_gossip_swarm(
        members,
        topologies.static(topologies.ring(nodes)),
        GossipAveraging,
        models={member: Model(np.full(1, i, np.float32)) for i, member in enumerate(members)},
        rounds=rounds,
        aggregate=partial(aggregate, mean),
        gossip=Gossip(late=late),
    )


def rosters(simulator: EventSimulator) -> set[tuple[str, ...]]:
    found = set()
    for member in simulator.members:
        view = simulator.node(member).view if simulator.is_up(member) else None
        found.add(() if view is None else view.members)
    return found


def test_all_find_each_other_and_a_death_and_a_return_spread_by_rumours() -> None:
    swarm = ring(12, rounds=60)
    simulator = EventSimulator(
        swarm, train=by_function(add_one), network=Network(latency_s=0.05, loss=0.1), seed=2
    )
    simulator.crash("00007", at_s=10.0)
    simulator.restart("00007", at_s=30.0)
    simulator.run(until_s=9.0)
    assert rosters(simulator) == {swarm.members}
    simulator.run(until_s=25.0)
    assert rosters(simulator) == {(), tuple(m for m in swarm.members if m != "00007")}
    simulator.run(until_s=40.0)
    assert rosters(simulator) == {swarm.members}
    simulator.run()
    assert set(simulator.rounds.values()) == {60}


def test_a_partition_makes_two_rosters_and_one_again_when_it_heals() -> None:
    swarm = ring(8, rounds=200)
    halves = swarm.members[:4], swarm.members[4:]
    simulator = EventSimulator(swarm, train=by_function(add_one), network=Network(latency_s=0.05))
    simulator.partition(halves, at_s=10.0, heal_s=100.0)
    simulator.run(until_s=30.0)
    assert rosters(simulator) == set(halves)
    simulator.run(until_s=140.0)
    assert rosters(simulator) == {swarm.members}


def test_one_who_joins_later_is_learnt_of_and_one_who_leaves_is_gone_at_once() -> None:
    swarm = ring(6, rounds=30, late=frozenset({"00003"}))
    simulator = EventSimulator(
        swarm, train=by_function(add_one), network=Network(latency_s=0.05), down={"00003"}
    )
    simulator.join("00003", at_s=5.5)
    simulator.leave("00001", at_s=12.5)
    simulator.run(until_s=5.0)
    assert rosters(simulator) == {(), tuple(m for m in swarm.members if m != "00003")}
    simulator.run(until_s=8.0)
    assert rosters(simulator) == {swarm.members}
    simulator.run(until_s=13.5)
    assert rosters(simulator) == {(), tuple(m for m in swarm.members if m != "00001")}
    simulator.run()
    assert len(simulator.finished) == 5


@pytest.mark.parametrize(
    ("found", "where"),
    [
        ("rumours", "membership"),
        ({"name": "gossip", "beat_s": 1}, "membership.beat_s"),
        ({"name": "gossip", "silence_s": 0}, "membership.silence_s"),
        ({"name": "gossip", "min_members": 1.5}, "membership.min_members"),
        ({"name": "gossip", "heartbeat_s": 30, "silence_s": 5}, "membership.silence_s"),
        ({"name": "fixed", "silence_s": 3}, "membership.silence_s"),
    ],
)
def test_a_wrong_membership_names_its_key(found: object, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        membership_from(found)
    assert caught.value.where == where


def test_silence_and_suspicion_follow_from_the_heartbeat_unless_they_are_given() -> None:
    gossip = membership_from({"name": "gossip", "heartbeat_s": 30, "suspicion_s": 60.0})
    assert gossip is not None
    assert (gossip.timing.silence_s, gossip.timing.suspicion_s) == (150, 60)
