"""Every protocol: who joins late is where the others are after a round, and spoils nothing."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import pytest

import topologies
from p2pfl import registry
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.events import Adopt, Effect, Event, Message, Received
from p2pfl.model import Model
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.protocols.push_sum import PushSum
from p2pfl.protocols.token import KIND as TOKEN
from simulations import Experiment
from simulations.event_simulator import EventSimulator
from simulations.gossip import Gossip, make_gossip_swarm
from simulations.network import Network
from simulations.swarm import make_swarm, member_ids
from simulations.training import add_one, by_function
from tests.p2pfl.peer.crowd import Crowd

PROTOCOLS = registry.names("protocol")
NODES = 6
LATE = "00003"
ROUNDS = 30


def made(protocol: str) -> Callable[[Setup], ExchangeProtocol]:
    return cast(Callable[[Setup], ExchangeProtocol], registry.resolve("protocol", protocol))


def is_token(protocol: str) -> bool:
    return TOKEN in cast(ExchangeProtocol, registry.resolve("protocol", protocol)).bodies


class Run:
    """Six nodes on a ring, one of which comes later; the models count the trainings behind them."""

    def __init__(self, protocol: str, join_s: float, *, gossip: bool = False) -> None:
        members = member_ids(NODES)
        late = frozenset({LATE})
        make = partial(make_gossip_swarm, gossip=Gossip(late=late)) if gossip else make_swarm
        swarm = make(
            members,
            topologies.static(topologies.ring(NODES)),
            made(protocol),
            models={member: Model(np.zeros(2, np.float32)) for member in members},
            rounds=ROUNDS * (NODES if is_token(protocol) else 1),
            aggregate=partial(aggregate, mean),
        )
        self.late: list[tuple[float, Adopt]] = []
        self.simulator = EventSimulator(
            swarm,
            train=by_function(add_one),
            network=Network(latency_s=0.01),
            down=late,
            watch=self._watch,
        )
        self.simulator.join(LATE, at_s=join_s)

    def _watch(self, member: str, adopt: Adopt, now_s: float) -> None:
        if member == LATE:
            self.late.append((now_s, adopt))

    def others(self) -> list[int]:
        rounds = self.simulator.rounds
        return [rounds[member] for member in self.simulator.members if member != LATE]


@pytest.mark.parametrize("gossip", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_joins_at_a_third_is_in_the_current_round_after_a_round_and_a_transfer(
    protocol: str, gossip: bool
) -> None:
    join_s = 10.2
    run = Run(protocol, join_s * (NODES if is_token(protocol) else 1), gossip=gossip)
    run.simulator.run(until_s=join_s * (NODES if is_token(protocol) else 1))
    while not any(adopt.merged for _, adopt in run.late):
        run.simulator.run(until_s=run.simulator.now_s + 0.5)
    when_s, first = next((now_s, adopt) for now_s, adopt in run.late if adopt.merged)
    others = run.others()

    if is_token(protocol):  # the token brings the model when it comes round
        assert first.model.age == first.round >= max(others) - NODES
        assert protocol == "random_walk" or when_s - join_s * NODES < NODES + 5.0
    else:
        began_s = join_s + (5.0 if gossip else 0.0)  # the start barrier, where members are found by rumours
        assert when_s < began_s + 1.5
        assert first.round >= max(others) - 1
        assert first.model.age >= first.round - 1
        assert first.model.params == pytest.approx(
            first.model.age, abs=0.7 if protocol == "gossip_averaging" else 2.0
        )
    run.simulator.run(until_s=20_000.0)
    assert set(run.simulator.finished) == set(run.simulator.members)
    values = {float(model.params[0]) for model in run.simulator.models.values()}
    assert max(values) - min(values) < 0.7


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_joins_those_that_have_finished_gets_the_final_model(protocol: str) -> None:
    run = Run(protocol, 1000.0)
    run.simulator.run(until_s=20_000.0)

    assert set(run.simulator.finished) == set(run.simulator.members)
    assert run.late[-1][1].round == max(run.others())
    final = run.simulator.models[LATE].params
    assert final == pytest.approx(run.simulator.models["00002"].params, abs=0.05)
    assert run.late[-1][0] < 1100.0


def test_who_joins_push_sum_brings_its_own_weight_and_all_weights_sum_to_the_number_of_nodes() -> None:
    run = Run("push_sum", 10.2)
    for until_s in (9.0, 10.7, 11.9, 15.3, 2000.0):
        run.simulator.run(until_s=until_s)
        total = 0.0
        up = [member for member in run.simulator.members if run.simulator.is_up(member)]
        for member in up:
            protocol = run.simulator.node(member).protocol
            assert isinstance(protocol, PushSum)
            held, pushed, had = protocol.mass()
            total += held + sum(pushed.values()) - sum(had.values())
        assert total == pytest.approx(len(up), abs=1e-9)


@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum"])
@pytest.mark.parametrize("deaf", [1, 2])
def test_when_a_peer_does_not_answer_the_next_is_asked_and_then_one_starts_fresh(
    protocol: str, deaf: int
) -> None:
    run = Run(protocol, 10.2)
    asked: list[str] = []
    run.simulator.run(until_s=5.0)
    for member in ("00002", "00004"):
        protocol_of = run.simulator.node(member).protocol
        is_deaf = member in ["00002", "00004"][:deaf]
        protocol_of.handle = Deaf(member, protocol_of.handle, asked, is_deaf=is_deaf)  # type: ignore[method-assign]
    run.simulator.run(until_s=20_000.0)

    assert asked == ["00002", "00004"]
    assert set(run.simulator.finished) == set(run.simulator.members)
    rounds = [adopt.round for _, adopt in run.late]
    assert rounds[0] >= 7 if deaf == 1 else rounds[0] == 1
    assert len(rounds) < ROUNDS


class Deaf:
    """Handles all events of a protocol but, perhaps, the question of who comes late."""

    def __init__(
        self,
        member: str,
        handle: Callable[[Event, float], list[Effect]],
        asked: list[str],
        *,
        is_deaf: bool,
    ) -> None:
        self.member, self.handle, self.asked, self.is_deaf = member, handle, asked, is_deaf

    def __call__(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case Received(_, Message(kind="join")):
                self.asked.append(self.member)
                return [] if self.is_deaf else self.handle(event, now_s)
        return self.handle(event, now_s)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.slow
def test_a_late_joiner_costs_less_than_two_points_of_accuracy(protocol: str) -> None:
    rounds = 20 * 8 if is_token(protocol) else 40
    undisturbed, joined = (
        Experiment(
            topology="ring",
            nodes=8,
            protocol=protocol,
            task="digits_softmax",
            rounds=rounds,
            evaluate_every=0,
            membership="gossip",
            faults=faults,
        ).run()
        for faults in (None, {"join": [{"node": 3, "at_s": rounds / 2}]})
    )
    assert joined.final_accuracy > undisturbed.final_accuracy - 0.02


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_real_peer_that_joins_three_others_ends_with_their_model(protocol: str) -> None:
    async def scenario() -> None:
        crowd = Crowd(
            topology="full_mesh",
            rounds=200 if is_token(protocol) else 300,
            members=3,
            make_protocol=made(protocol),
        )
        members = [crowd.member(name, number) for number, name in enumerate("abc")]
        for member in members:
            member.start()
        await members[0].until("round.done", 30)
        crowd.count = 2
        late = crowd.member("d", 3)
        late.start()
        for member in (*members, late):
            await member.until("run.finished")
        first = late.facts("round.done")[0]["round"]
        for member in (*members, late):
            await member.stop()
        final = [member.stored[-1].model for member in (*members, late)]
        assert isinstance(first, int)
        assert first >= 25
        assert all(model.age == final[0].age for model in final)
        assert np.ptp([model.params[0] for model in final]) < 2.5

    asyncio.run(scenario())
