"""Partitions, crashes behind them, leaves and joins: who hears what, and when."""

import numpy as np
import pytest

import topologies
from p2pfl.errors import ConfigError
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.event_simulator import EventSimulator
from simulations.network import BREAK_S, Network
from simulations.training import add_one, by_function
from tests.simulations.swarms import Chatter, many_models_swarm, swarm_of
from tests.simulations.test_event_simulator import ADD_ONE, A, B, C, Chatters

LAST_RETRY_S = 30.0


def two(rounds: int, network: Network | None = None) -> tuple[Chatters, EventSimulator]:
    chatters = Chatters()
    network = network or Network(latency_s=0.25)
    return chatters, EventSimulator(swarm_of(2, chatters, rounds=rounds), train=ADD_ONE, network=network)


def test_what_is_sent_across_a_short_partition_waits_and_the_newer_replaces_the_older() -> None:
    chatters, simulator = two(5)
    simulator.partition([[A], [B]], at_s=1.1, heal_s=3.5)
    simulator.run()
    # Round 1 was under way; 2 is replaced by 3, which leaves with the heal; no link broke.
    assert chatters.heard(A) == [(1.25, B, 1), (3.75, B, 3), (4.25, B, 4), (5.25, B, 5)]
    assert chatters.made[A][-1].lives == [frozenset({B})]


def test_a_partition_is_noticed_by_silence_and_its_end_by_a_dial() -> None:
    chatters, simulator = two(120)
    simulator.partition([[A]], at_s=5.0, heal_s=70.0)
    simulator.run()
    heard = [(time_s, current) for time_s, _, current in chatters.heard(A)]
    assert heard[3] == (4.25, 4)
    # What had waited when the link broke is lost; a dial succeeds some time after the heal.
    assert 70 < heard[4][0] <= 70 + LAST_RETRY_S + 1.5
    assert heard[4][1] == int(heard[4][0])
    assert chatters.made[A][-1].lives == [frozenset({B}), frozenset(), frozenset({B})]


def test_a_one_way_partition_blocks_one_way() -> None:
    chatters, simulator = two(4)
    simulator.partition_oneway([A], [B], at_s=1.5)
    simulator.run()
    assert [current for _, _, current in chatters.heard(A)] == [1, 2, 3, 4]
    assert [current for _, _, current in chatters.heard(B)] == [1]


def test_partitions_overlap_and_each_heals_by_itself() -> None:
    chatters, simulator = two(8)
    simulator.partition([[A]], at_s=1.5, heal_s=3.5)
    simulator.partition_oneway([A], [B], at_s=2.5, heal_s=5.5)
    simulator.run()
    assert [current for _, _, current in chatters.heard(A)] == [1, 3, 4, 5, 6, 7, 8]
    assert [current for _, _, current in chatters.heard(B)] == [1, 5, 6, 7, 8]


def test_a_crash_behind_a_partition_is_noticed_by_silence() -> None:
    chatters, simulator = two(100)
    simulator.partition([[A]], at_s=2.5)
    simulator.crash(B, at_s=3.5)
    simulator.run(until_s=3.5 + BREAK_S - 0.1)
    assert chatters.made[A][-1].lives == [frozenset({B})]
    simulator.run(until_s=3.5 + BREAK_S + 0.1)
    assert chatters.made[A][-1].lives == [frozenset({B}), frozenset()]


def test_whoever_restarts_behind_a_partition_is_linked_anew_after_it() -> None:
    chatters, simulator = two(60)
    simulator.partition([[A]], at_s=2.5, heal_s=20.0)
    simulator.crash(B, at_s=3.5)
    simulator.restart(B, at_s=5.0)
    simulator.run()
    assert chatters.made[A][-1].lives == [frozenset({B}), frozenset(), frozenset({B})]
    assert chatters.made[B][-1].lives == [frozenset(), frozenset({A})]
    assert simulator.rounds == {A: 60, B: 60}


def test_who_leaves_is_gone_and_who_joins_begins_anew() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(3, chatters, rounds=6), train=ADD_ONE, down={C})
    simulator.join(C, at_s=2.5)
    simulator.leave(B, at_s=3.5)
    simulator.join(B, at_s=4.5)
    simulator.run()
    assert [len(chatters.made[member]) for member in (A, B, C)] == [1, 2, 1]
    assert simulator.models[B].age == 6  # from the beginning, not from what was stored
    assert simulator.now_s == pytest.approx(10.5)
    both = frozenset({B, C})
    assert chatters.made[A][-1].lives == [both, frozenset({C}), both]  # it waits for C


def test_verbs_refuse_strangers() -> None:
    simulator = EventSimulator(swarm_of(2, Chatter, rounds=1), train=ADD_ONE)
    with pytest.raises(ConfigError, match="unknown member 'zoe'"):
        simulator.partition([[A], ["zoe"]])
    with pytest.raises(ConfigError, match="unknown member 'zoe'"):
        simulator.partition_oneway(["zoe"], [A])


def test_two_halves_average_apart_and_agree_after_the_heal() -> None:
    starts = np.repeat([0.0, 100.0], 4)[:, np.newaxis]
    swarm = many_models_swarm(topologies.full_mesh(8), GossipAveraging, starts, rounds=90)
    simulator = EventSimulator(swarm, train=by_function(add_one))
    halves = [swarm.members[:4], swarm.members[4:]]
    simulator.partition(halves, at_s=0.0, heal_s=80.0)
    simulator.run(until_s=79.0)
    apart = {
        member: simulator.models[member].params[0] - simulator.rounds[member] for member in swarm.members
    }
    assert list(apart.values()) == pytest.approx([0.0] * 4 + [100.0] * 4, abs=1e-3)
    simulator.run()
    together = [simulator.models[member].params[0] for member in swarm.members]
    assert np.ptp(together) < 1e-3
    assert set(simulator.rounds.values()) == {90}
