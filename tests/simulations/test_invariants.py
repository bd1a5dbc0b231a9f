"""What must never happen is found while it happens, with the seed, the time and what came before."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.events import Adopt, Effect, Event, Message, Received, Send, Train, Trained
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.protocol import Setup
from simulations.event_simulator import EventSimulator
from simulations.invariants import KEPT_EVENTS, MAX_IN_FLIGHT, InvariantError
from simulations.network import Network
from simulations.swarm import make_swarm, member_ids
from simulations.training import add_one, by_function
from tests.simulations.swarms import Chatter, swarm_of


class Wrong(Chatter):
    """A chatter that does what ``misbehave`` says after its third training."""

    def __init__(self, setup: Setup, misbehave: Callable[[Model], list[Effect]]) -> None:
        super().__init__(setup)
        self._misbehave = misbehave

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        effects = super().handle(event, now_s)
        if isinstance(event, Trained) and self._round == 3:
            return [*effects, *self._misbehave(event.model)]
        return effects


def run(misbehave: Callable[[Model], list[Effect]], network: Network | None = None) -> None:
    swarm = swarm_of(2, lambda setup: Wrong(setup, misbehave), rounds=30)
    EventSimulator(swarm, train=by_function(add_one), network=network, seed=41).run()


def test_two_trainings_at_once_are_found_with_the_seed_the_time_and_the_events() -> None:
    with pytest.raises(InvariantError, match="00000 trains already") as caught:
        run(lambda model: [Train(model), Train(model)])
    text = str(caught.value)
    assert "(seed 41, at 3.000000 s)" in text
    assert "3.000000 s 00000 Trained a3" in text.splitlines()[-1]
    assert "Received word r2 a2 from 00001" in text


def test_an_age_that_falls_is_found() -> None:
    with pytest.raises(InvariantError, match="goes back from age 3 to 1"):
        run(lambda model: [Adopt(Model(model.params, 1), 3)])


def test_messages_that_pile_up_are_found() -> None:
    word = Message("word", 3)
    with pytest.raises(
        InvariantError, match=f"{MAX_IN_FLIGHT + 1} messages are under way from 00000 to 00001"
    ):
        run(lambda _: [Send("00001", word)] * (MAX_IN_FLIGHT + 1), Network(latency_s=1.0))


def test_an_assertion_of_a_protocol_tells_what_came_before_but_no_more_than_the_last_events() -> None:
    def fail(_: Model) -> list[Effect]:
        raise AssertionError("I cannot go on")

    with pytest.raises(InvariantError, match="00000: I cannot go on") as caught:
        run(fail)
    assert 10 < len(str(caught.value).splitlines()) <= KEPT_EVENTS + 2


class Crooked:
    """A schedule whose rows sum to 0.9."""

    def weights(self, round: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.full((2, 2), 0.45)


def test_rows_that_do_not_sum_to_one_are_found() -> None:
    members = member_ids(2)
    models = {member: Model(np.zeros(1, np.float32)) for member in members}
    swarm = make_swarm(members, Crooked(), Chatter, models=models, rounds=3, aggregate=lambda x, w: x[0])
    with pytest.raises(InvariantError, match=r"the mixing weights of 00000 sum to 0\.9, not 1"):
        EventSimulator(swarm, train=by_function(add_one)).run()


class Purse(Chatter):
    """Pays a tenth of what it has to everybody each round, as running totals; a careless one loses some."""

    def __init__(self, setup: Setup, *, is_careless: bool = False) -> None:
        super().__init__(setup)
        self._has, self._is_careless = 1.0, is_careless
        self._paid: dict[str, float] = {}
        self._got: dict[str, float] = {}

    def mass(self) -> tuple[float, Mapping[str, float], Mapping[str, float]]:
        return self._has, self._paid, self._got

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        if isinstance(event, Received):
            total = float(event.message.fields["total"])
            self._has += max(0.0, total - self._got.get(event.sender, 0.0))
            self._got[event.sender] = max(total, self._got.get(event.sender, 0.0))
        effects = super().handle(event, now_s)
        return [self._pay(effect) if isinstance(effect, Send) else effect for effect in effects]

    def _pay(self, send: Send) -> Send:
        share = self._has / 10
        self._has -= share * (1.5 if self._is_careless and self._round == 7 else 1.0)
        self._paid[send.to] = self._paid.get(send.to, 0.0) + share
        return Send(send.to, Message("word", self._round, None, {"total": self._paid[send.to]}))

    def snapshot(self) -> Snapshot:
        flat = {
            f"{key}.{k}": v for key, d in (("paid", self._paid), ("got", self._got)) for k, v in d.items()
        }
        inner = super().snapshot()
        return Snapshot({**inner.values, **flat, "has": self._has}, inner.arrays)

    def restore(self, snapshot: Snapshot) -> None:
        super().restore(snapshot)
        values = {k: float(v) for k, v in snapshot.values.items() if isinstance(v, float | int)}
        self._has = values["has"]
        for key, totals in (("paid.", self._paid), ("got.", self._got)):
            totals.update({k.removeprefix(key): v for k, v in values.items() if k.startswith(key)})


def test_declared_mass_is_weighed_under_loss_and_crashes() -> None:
    network = Network(latency_s=0.1, jitter_s=0.5, loss=0.3, duplicate=0.2, reorder=0.2)
    for is_careless in (False, True):
        swarm = swarm_of(4, partial(Purse, is_careless=is_careless), rounds=20)
        simulator = EventSimulator(swarm, train=by_function(add_one), network=network, seed=6)
        simulator.crash("00002", at_s=4.3)
        simulator.restart("00002", at_s=9.1)
        if is_careless:
            with pytest.raises(InvariantError, match=r"the masses sum to 3\.\d+, not 4\.0"):
                simulator.run()
        else:
            simulator.run()
            assert simulator.lost > 10
            assert len(simulator.finished) == 4


def test_a_sound_run_on_a_graph_is_quiet() -> None:
    swarm = swarm_of(3, Chatter, rounds=3)
    assert len(topologies.full_mesh(3)) == len(swarm.members)
    EventSimulator(swarm, train=by_function(add_one)).run()
