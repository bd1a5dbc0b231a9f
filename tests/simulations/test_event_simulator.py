"""Virtual time, links, crashes and restarts, seen by a toy protocol."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pfl.errors import ConfigError
from p2pfl.events import Adopt
from p2pfl.learning.learner import Evaluation, Schema, TrainingState
from p2pfl.model import Model
from p2pfl.protocols.protocol import Setup
from simulations.event_simulator import EventSimulator
from simulations.links import HEADER_BYTES
from simulations.network import Network
from simulations.traces import Trace
from simulations.training import add_one, by_function, by_learners
from tests.simulations.swarms import Chatter, swarm_of

ADD_ONE = by_function(add_one)
A, B, C = "00000", "00001", "00002"


class Chatters:
    """Makes chatters and remembers them, each member's newest last."""

    def __init__(self) -> None:
        self.made: dict[str, list[Chatter]] = {}

    def __call__(self, setup: Setup) -> Chatter:
        chatter = Chatter(setup)
        self.made.setdefault(setup.me, []).append(chatter)
        return chatter

    def heard(self, member: str) -> list[tuple[float, str, int]]:
        return self.made[member][-1].heard


def test_training_takes_virtual_time_and_links_take_their_latency() -> None:
    chatters = Chatters()
    simulator = EventSimulator(
        swarm_of(2, chatters, rounds=2), train=ADD_ONE, network=Network(latency_s=0.25), compute_s=2.0
    )
    simulator.run()
    assert chatters.heard(A) == [(2.25, B, 1), (4.25, B, 2)]
    assert simulator.now_s == 4.25
    assert simulator.models[A].age == 2
    assert simulator.models[B].params == pytest.approx([3.0])
    assert simulator.rounds == {A: 2, B: 2}
    assert simulator.finished == {A: "done", B: "done"}


def test_messages_and_bytes_are_counted_per_ordered_pair() -> None:
    simulator = EventSimulator(swarm_of(3, Chatter, rounds=2, parameters=5), train=ADD_ONE)
    simulator.run()
    pairs = {(a, b) for a in (A, B, C) for b in (A, B, C) if a != b}
    assert simulator.message_counts == dict.fromkeys(pairs, 2)
    assert simulator.byte_counts == dict.fromkeys(pairs, 2 * 20)


def test_a_lost_message_is_counted_and_does_not_arrive() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(2, chatters, rounds=3), train=ADD_ONE, network=Network(loss=1.0))
    simulator.run()
    assert chatters.heard(A) == []
    assert simulator.message_counts[B, A] == 3
    assert simulator.lost == 6


def test_a_doubled_message_arrives_twice() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(2, chatters, rounds=1), train=ADD_ONE, network=Network(duplicate=1.0))
    simulator.run()
    assert chatters.heard(A) == [(1.0, B, 1)] * 2


def test_jitter_keeps_the_order_of_a_link_unless_it_may_not() -> None:
    def rounds_heard(network: Network) -> list[int]:
        chatters = Chatters()
        swarm = swarm_of(2, chatters, rounds=30)
        EventSimulator(swarm, train=ADD_ONE, network=network, compute_s=0.01, seed=5).run()
        return [current for _, _, current in chatters.heard(A)]

    assert rounds_heard(Network(jitter_s=1.0)) == list(range(1, 31))
    assert rounds_heard(Network(jitter_s=1.0, keeps_order=False)) != list(range(1, 31))


def test_a_slow_link_makes_messages_wait_and_replaces_the_unsent() -> None:
    chatters = Chatters()
    bits = (HEADER_BYTES + 4) * 8
    network = Network(latency_s=0.5, bandwidth_bps=bits / 2.5)  # one message takes 2.5 s
    simulator = EventSimulator(swarm_of(2, chatters, rounds=5), train=ADD_ONE, network=network)
    simulator.run()
    # Round 1 is on the line from 1 s to 3.5 s; 2 is replaced by 3, and 4 by 5.
    assert chatters.heard(A) == [(4.0, B, 1), (6.5, B, 3), (9.0, B, 5)]
    assert simulator.message_counts[B, A] == 3


def test_a_member_that_is_down_from_the_start_hears_nothing_and_is_linked_to_nobody() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(3, chatters, rounds=1), train=ADD_ONE, down={C})
    simulator.run()
    assert C not in chatters.made
    assert chatters.made[A][-1].lives == [frozenset({B})]
    assert set(simulator.message_counts) == {(A, B), (B, A)}


def test_a_crash_is_told_to_the_neighbours_behind_the_last_message() -> None:
    chatters = Chatters()
    simulator = EventSimulator(
        swarm_of(2, chatters, rounds=4), train=ADD_ONE, network=Network(latency_s=0.5, jitter_s=0.4)
    )
    simulator.crash(B, at_s=2.2)
    simulator.run()
    assert [current for _, _, current in chatters.heard(A)] == [1, 2]
    assert chatters.made[A][-1].lives == [frozenset({B}), frozenset()]
    assert simulator.models[B].age == 2
    assert set(simulator.finished) == {A}


def test_a_restart_goes_on_from_what_was_stored() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(2, chatters, rounds=4), train=ADD_ONE, network=Network(latency_s=0.1))
    simulator.crash(B, at_s=2.5)
    simulator.restart(B, at_s=2.7)
    simulator.run()
    assert len(chatters.made[B]) == 2
    assert simulator.models[B].age == 4  # two rounds before the crash, two after it, none twice
    assert [current for _, _, current in chatters.heard(A)] == [1, 2, 3, 4]
    assert chatters.made[A][-1].lives == [frozenset({B}), frozenset(), frozenset({B})]
    assert simulator.finished == {A: "done", B: "done"}


def test_what_is_on_the_way_to_a_member_dies_with_it() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(2, chatters, rounds=1), train=ADD_ONE, network=Network(latency_s=1.0))
    simulator.crash(B, at_s=1.5)
    simulator.restart(B, at_s=1.6)
    simulator.run()
    assert simulator.message_counts[A, B] == 1
    assert chatters.heard(B) == []


def test_crashing_the_dead_and_restarting_the_living_changes_nothing() -> None:
    chatters = Chatters()
    simulator = EventSimulator(swarm_of(2, chatters, rounds=2), train=ADD_ONE)
    simulator.restart(A, at_s=0.5)
    simulator.crash(B, at_s=0.5)
    simulator.crash(B, at_s=0.6)
    simulator.run()
    assert len(chatters.made[A]) == 1
    assert set(simulator.finished) == {A}


def test_a_run_can_be_stopped_looked_at_and_continued() -> None:
    simulator = EventSimulator(swarm_of(2, Chatter, rounds=3), train=ADD_ONE)
    simulator.run(until_s=1.5)
    assert simulator.now_s == 1.5
    assert simulator.rounds == {A: 1, B: 1}
    simulator.crash(B)
    simulator.run()
    assert simulator.rounds == {A: 3, B: 1}


def test_the_same_seed_gives_the_same_trace_and_another_seed_another_one() -> None:
    network = Network(latency_s=0.1, jitter_s=0.5, loss=0.2, duplicate=0.2)

    def lines(seed: int) -> list[str]:
        trace = Trace()
        swarm = swarm_of(3, Chatter, rounds=5)
        EventSimulator(swarm, train=ADD_ONE, network=network, seed=seed, trace=trace).run()
        return trace.lines

    assert lines(1) == lines(1)
    assert lines(1) != lines(2)
    assert any("lost" in line for line in lines(1))


def test_whoever_watches_is_told_every_adopted_model() -> None:
    seen: list[tuple[str, int, float]] = []

    def watch(member: str, adopt: Adopt, now_s: float) -> None:
        seen.append((member, adopt.round, now_s))

    EventSimulator(swarm_of(2, Chatter, rounds=2), train=ADD_ONE, watch=watch).run()
    assert seen == [(A, 1, 1.0), (B, 1, 1.0), (A, 2, 2.0), (B, 2, 2.0)]


class Counting:
    """A learner that keeps the number of its updates as its training state."""

    schema = Schema((("x", (1,), "float32"),))

    def initial(self) -> Model:
        return Model(np.zeros(1, np.float32))

    def train(
        self, model: Model, state: TrainingState, *, gradient_offset: NDArray[np.float32] | None = None
    ) -> tuple[Model, TrainingState]:
        count = state.get("count", np.zeros(1)) + 1
        return Model(model.params + np.float32(100 * count[0]), model.age + 1), {"count": count}

    def evaluate(self, model: Model) -> Evaluation:
        return Evaluation(np.zeros((1, 1), np.int64), 0.0)


def test_a_learner_keeps_its_state_and_a_crash_sets_it_back_to_what_was_stored() -> None:
    learners: Mapping[str, Counting] = {A: Counting(), B: Counting()}
    simulator = EventSimulator(swarm_of(2, Chatter, rounds=3), train=by_learners(learners))
    simulator.crash(B, at_s=1.5)
    simulator.restart(B, at_s=1.6)
    simulator.run()
    assert simulator.models[A].params == pytest.approx([600.0])
    assert simulator.models[B].params == pytest.approx([601.0])


def test_verbs_for_strangers_or_for_the_past_are_refused() -> None:
    simulator = EventSimulator(swarm_of(2, Chatter, rounds=1), train=ADD_ONE)
    with pytest.raises(ConfigError, match="unknown member 'zoe'"):
        simulator.crash("zoe")
    simulator.run()
    with pytest.raises(ConfigError, match=r"at_s = 0\.5 is past"):
        simulator.restart(A, at_s=0.5)
    with pytest.raises(ConfigError, match="unknown member 'zoe'"):
        EventSimulator(swarm_of(2, Chatter, rounds=1), train=ADD_ONE, down={"zoe"})
