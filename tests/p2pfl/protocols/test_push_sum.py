"""Push-sum, message by message: ledgers, marks, pauses, restarts with and without memory."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.errors import ConfigError, StateError
from p2pfl.events import Adopt, Effect, Message, PeersChanged, Received, Send, Started, Store, Train, Trained
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.push_sum import FLOOR, PushSum
from p2pfl.protocols.push_sum_book import MAX_DEPARTED, MAX_UNANSWERED, Book
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.swarm import member_ids
from simulations.training import by_function
from tests.p2pfl.protocols.driver import PARAMETERS, Driver, Graph, full_mesh, line, ring, setup_of, view_of
from tests.simulations.swarms import many_models_swarm

PAIR = line("ab")
ONE_WAY = Graph([("a", "b")], undirected=False)


def begun(me: str, graph: Graph = PAIR, *, start: int = 1, rounds: int = 9, members: str = "ab") -> PushSum:
    """A node that trains, in the first round."""
    protocol = PushSum(replace(setup_of(me, rounds), start=start), mixing_rounds=1)
    protocol.handle(PeersChanged(view_of(me, graph, members)), 0.0)
    protocol.handle(Started(), 0.0)
    return protocol


def trained(protocol: PushSum, age: int = 1, change: float = 0.0) -> list[Effect]:
    snapshot = protocol.snapshot()
    weight = snapshot.values["weight"]
    assert isinstance(weight, float)
    z = (snapshot.arrays["sum"] / weight).astype(np.float32)
    return protocol.handle(Trained(Model(z + np.float32(change), age)), 0.0)


def pushed(effects: list[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send) and effect.message.body]


def words(effects: list[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send) and not effect.message.body]


def tell(protocol: PushSum, sender: str, message: Message) -> list[Effect]:
    return protocol.handle(Received(sender, message), 0.0)


def with_fields(message: Message, **fields: int | float | bytes) -> Message:
    return replace(message, fields={**message.fields, **fields})


def unchanged(member: str, model: Model) -> Model:
    return Model(model.params, model.age + 1, model.weight)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mixing_rounds": 0}, "mixing_rounds = 0"),
        ({"mixing_rounds": 1.5}, "mixing_rounds = 1.5"),
        ({"weighting": "rows"}, "rows"),
        ({"round_timeout_s": -1.0}, "round_timeout_s"),
    ],
)
def test_values_that_mean_nothing_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        PushSum(setup_of("a", 3), **options)  # type: ignore[arg-type]  # what a config file may hold


def test_totals_are_stored_before_they_are_sent_and_hold_the_share_of_sum_and_weight() -> None:
    effects = trained(begun("a"), change=1.0)
    assert isinstance(effects[0], Store)
    (message,) = pushed(effects)
    start = setup_of("a", 1).model.params.astype(np.float64)
    assert message.body[0] == pytest.approx((start + 1) / 2, abs=1e-6)
    assert (message.fields["weight"], message.fields["number"]) == (0.5, 1)


def test_training_adds_its_change_to_the_sum_whatever_the_weight() -> None:
    a = begun("a", ONE_WAY)
    trained(a, change=1.0)  # hears nobody: half of it is gone
    before = a.snapshot().arrays["sum"]
    trained(a, age=2, change=4.0)
    assert a.snapshot().arrays["sum"] * 2 - before == pytest.approx(np.full(PARAMETERS, 4.0), abs=1e-5)


def test_a_weight_of_samples_scales_start_and_training() -> None:
    a = PushSum(replace(setup_of("a", 9), samples=10), mixing_rounds=1, weighting="samples")
    a.handle(PeersChanged(view_of("a", Graph([]), "a")), 0.0)
    a.handle(Started(), 0.0)
    before = a.snapshot().arrays["sum"]
    effects = trained(a, change=1.0)
    assert a.snapshot().arrays["sum"] - before == pytest.approx(np.full(PARAMETERS, 10.0), abs=1e-5)
    (adopt,) = [effect for effect in effects if isinstance(effect, Adopt)]
    assert adopt.model.weight == 10.0
    assert adopt.model.params == pytest.approx(setup_of("a", 9).model.params + 1, abs=1e-6)


def test_a_repeated_message_and_an_overtaken_one_change_nothing() -> None:
    a, b = begun("a", ONE_WAY), begun("b", ONE_WAY)
    (first,) = pushed(trained(a))
    (second,) = pushed(trained(a, age=2))
    for message in (second, first, second):
        tell(b, "a", message)
    trained(b)
    trained(b, age=2)
    weight, pushed_on, had = b.mass()
    assert (weight, pushed_on, had) == (1.75, {}, {"a": 0.75})


def test_what_is_lost_comes_with_the_next_message() -> None:
    a, b = begun("a", ONE_WAY), begun("b", ONE_WAY)
    for age in (1, 2):
        pushed(trained(a, age=age))  # lost
    (third,) = pushed(trained(a, age=3))
    tell(b, "a", third)
    for age in (1, 2, 3):
        trained(b, age=age)
    assert a.mass()[0] + b.mass()[0] == 2.0


def test_totals_of_another_shape_type_or_with_infinities_are_ignored() -> None:
    (good,) = pushed(trained(begun("a")))
    params = good.body[0]
    bad = [
        replace(good, body=(params[:-1],)),
        replace(good, body=(params.astype(np.float32),)),
        replace(good, body=(np.full(PARAMETERS, np.nan),)),
        replace(good, body=()),
        with_fields(good, weight=-1.0),
        with_fields(good, weight=float("nan")),
        with_fields(good, number=-1),
        with_fields(good, ledger=7),
        with_fields(good, mixing=1),
        replace(good, round=9),
    ]
    b = begun("b")
    assert [tell(b, "a", message) for message in bad] == [[]] * len(bad)
    assert b.mass() == (1.0, {}, {})


def test_a_receiver_answers_with_its_mark_until_the_sender_uses_it() -> None:
    a, b = begun("a"), begun("b")
    (first,) = pushed(trained(a))
    (mark,) = words(tell(b, "a", first))
    assert mark.kind == "mark"
    tell(a, "b", mark)
    (reply,) = pushed(trained(b))
    (second,) = pushed(tell(a, "b", reply) + trained(a, age=2))
    assert second.fields["mark"] == mark.fields["mark"]
    assert words(tell(b, "a", second)) == []


def test_whoever_never_answers_is_pushed_to_no_more() -> None:
    a = begun("a", ONE_WAY, rounds=50)
    weights = [a.mass()[0]]
    for age in range(1, 30):
        (message,) = pushed(trained(a, age=age))
        weights.append(a.mass()[0])
    assert weights[MAX_UNANSWERED] == weights[-1] == 0.5**MAX_UNANSWERED
    assert message.fields["number"] == MAX_UNANSWERED  # still sent: an answer opens the account again


def test_a_node_that_hears_nobody_stops_pushing_before_its_weight_vanishes() -> None:
    a, b = begun("a", ONE_WAY, rounds=2000), begun("b", ONE_WAY, rounds=2000)
    for age in range(1, 1200):
        (message,) = pushed(trained(a, age=age))
        for answer in words(tell(b, "a", message)):
            tell(a, "b", answer)
        trained(b, age=age)
    assert FLOOR / 2 < a.mass()[0] < FLOOR
    assert np.isfinite(a.snapshot().arrays["sum"]).all()
    assert a.mass()[0] + b.mass()[0] == pytest.approx(2.0, abs=1e-12)


def test_a_sender_that_starts_afresh_has_a_new_ledger_and_nothing_is_had_twice() -> None:
    a, b = begun("a", ONE_WAY), begun("b", ONE_WAY)
    (old,) = pushed(trained(a))
    tell(b, "a", old)
    trained(b)
    (new,) = pushed(trained(begun("a", ONE_WAY, start=2)))
    ledgers = [message.fields["ledger"] for message in (old, new)]
    assert ledgers == sorted(set(ledgers), key=str)
    tell(b, "a", replace(new, round=1))
    trained(b, age=2)
    tell(b, "a", replace(old, round=2))  # a straggler of the former life
    trained(b, age=3)
    assert b.mass() == (2.0, {}, {"a": 0.5})


def test_a_sender_that_restarts_from_its_store_goes_on_in_its_ledger() -> None:
    a, b = begun("a", ONE_WAY), begun("b", ONE_WAY)
    (first,) = pushed(trained(a))
    tell(b, "a", first)
    trained(b)
    reborn = PushSum(replace(setup_of("a", 9), start=2), mixing_rounds=1)
    reborn.restore(a.snapshot())
    reborn.handle(PeersChanged(view_of("a", ONE_WAY, "ab")), 0.0)
    reborn.handle(Started(), 0.0)
    (second,) = pushed(trained(reborn, age=2))
    assert second.fields["ledger"] == first.fields["ledger"]
    tell(b, "a", second)
    trained(b, age=2)
    assert reborn.mass()[0] + b.mass()[0] == 2.0


def test_a_receiver_that_has_lost_its_memory_does_not_get_its_history_again() -> None:
    a, b = begun("a", ONE_WAY), begun("b", ONE_WAY)
    (first,) = pushed(trained(a))
    tell(a, "b", words(tell(b, "a", first))[0])
    trained(b)
    reborn = begun("b", ONE_WAY, start=2)
    (second,) = pushed(trained(a, age=2))
    (mark,) = words(tell(reborn, "a", second))  # meant for the life before
    trained(reborn)
    assert reborn.mass() == (1.0, {}, {"a": 0.0})
    tell(a, "b", mark)
    (third,) = pushed(trained(a, age=3))
    tell(reborn, "a", third)
    trained(reborn, age=2)
    trained(reborn, age=3)
    assert third.fields["number"] == 1
    assert reborn.mass() == (1.125, {}, {"a": 0.125})


def test_a_receiver_that_joins_later_begins_at_zero() -> None:
    graph = full_mesh("abc")
    a = begun("a", graph, members="ab")
    trained(a)
    (message,) = pushed(a.handle(PeersChanged(view_of("a", graph, "abc")), 0.0))
    assert (message.fields["number"], message.fields["weight"]) == (0, 0.0)
    assert not message.body[0].any()
    assert a.mass() == (0.5, {"b": 0.5, "c": 0.0}, {})


def test_nothing_is_pushed_to_whoever_is_not_linked() -> None:
    a = begun("a", full_mesh("abc"), members="abc")
    a.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc", live="b")), 0.0)
    (message,) = pushed(trained(a))
    assert a.mass()[1] == {"b": 0.5}
    assert message.fields["weight"] == 0.5


def test_accounts_of_those_who_have_gone_are_bounded() -> None:
    book = Book(1, np.zeros(2), 1.0)
    names = [f"{number:02d}" for number in range(MAX_DEPARTED + 5)]
    book.push(names)
    before = book.to(names[0]).totals.ledger
    assert book.keep(names) is False
    assert book.keep([]) is True
    assert len(book.outgoing) == MAX_DEPARTED
    assert book.to(names[0]).totals.ledger > before
    assert book.to(names[0]).totals.weight == 0.0


def test_links_with_equal_totals_share_one_array_also_after_a_restart() -> None:
    a = begun("a", full_mesh("abcd"), members="abcd")
    messages = pushed(trained(a))
    assert len({id(message.body[0]) for message in messages}) == 1
    assert len(messages) == 3
    assert sorted(a.snapshot().arrays) == ["sum", "totals.0"]
    reborn = PushSum(setup_of("a", 9), mixing_rounds=1)
    reborn.restore(a.snapshot())
    reborn.handle(PeersChanged(view_of("a", full_mesh("abcd"), "abcd")), 0.0)
    assert len({id(message.body[0]) for message in pushed(reborn.handle(Started(), 0.0))}) == 1


@pytest.mark.parametrize("damage", ["sum", "weight", "outgoing.number", "totals.0", "epoch"])
def test_a_damaged_snapshot_is_refused(damage: str) -> None:
    a = begun("a")
    trained(a)
    whole = a.snapshot()
    values = {key: value for key, value in whole.values.items() if key != damage}
    arrays = {key: array for key, array in whole.arrays.items() if key != damage}
    with pytest.raises(StateError, match="not whole"):
        PushSum(setup_of("a", 9), mixing_rounds=1).restore(Snapshot(values, arrays))


def test_a_round_trains_once_and_exchanges_as_often_as_asked_for() -> None:
    driver = Driver(partial(PushSum, mixing_rounds=3), ring("abcde"), "abcde", rounds=4)
    driver.run()
    pushes = [each for each in driver.sent if each[2] == "push"]
    assert len(pushes) == 4 * 3 * 10
    assert all(node.trained_ages == [0, 1, 2, 3] for node in driver.nodes.values())


def test_a_member_that_was_down_catches_up_without_its_rounds() -> None:
    driver = Driver(PushSum, full_mesh("abcde"), "abcde", rounds=30)
    driver.run(until=lambda: driver.now_s >= 3)
    stored = driver.crash("c")
    driver.run(until=lambda: driver.now_s >= 20)
    driver.restart("c", stored)
    driver.run()
    assert driver.is_finished()
    assert len(driver.nodes["c"].trained_ages) < 15
    assert driver.now_s < 40


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_crash_and_a_restart_cost_time_and_no_mass(loss: float) -> None:
    graph = topologies.one_way_trust(6, out_degree=2, seed=4)
    members = member_ids(6)
    X = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    swarm = many_models_swarm(graph, partial(PushSum, mixing_rounds=3), X, rounds=120)
    network = Network(latency_s=0.1, jitter_s=0.2, loss=loss)
    simulator = EventSimulator(swarm, train=by_function(unchanged), network=network, seed=3)
    for number, at_s in ((1, 3.4), (4, 11.1), (1, 17.7)):
        simulator.crash(members[number], at_s=at_s)
        simulator.restart(members[number], at_s=at_s + 4.3)
    simulator.run()
    assert set(simulator.finished) == set(members)
    total = 0.0
    for member in members:
        snapshot = simulator.node(member).snapshot()
        s, w = snapshot.arrays["protocol.sum"], snapshot.values["protocol.weight"]
        assert isinstance(w, float)
        assert s / w == pytest.approx(X.astype(np.float64).mean(axis=0), abs=1e-9)
        protocol = simulator.node(member).protocol
        assert isinstance(protocol, PushSum)
        held, pushed_on, had = protocol.mass()
        total += held + sum(pushed_on.values()) - sum(had.values())
    assert total == pytest.approx(6, abs=1e-9)


def test_the_model_to_train_is_the_ratio() -> None:
    protocol = PushSum(setup_of("a", 3))
    protocol.handle(PeersChanged(view_of("a", PAIR, "ab")), 0.0)
    (train,) = protocol.handle(Started(), 0.0)
    assert isinstance(train, Train)
    assert train.model.params.tobytes() == setup_of("a", 3).model.params.tobytes()
