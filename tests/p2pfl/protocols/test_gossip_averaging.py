from functools import partial
from math import inf, nan

import numpy as np
import pytest

from p2pfl.errors import ConfigError, StateError
from p2pfl.events import (
    Adopt,
    Effect,
    Finish,
    Message,
    PeersChanged,
    Received,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
)
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.gossip_averaging import GossipAveraging
from tests.p2pfl.protocols.driver import PARAMETERS, Driver, Graph, full_mesh, ring, setup_of, train, view_of

VALUE = {"a": 1.0, "b": 4.0, "c": 7.0}


def model(value: float, age: int = 1) -> Model:
    return Model(np.full(PARAMETERS, value, dtype=np.float32), age)


def started(
    me: str = "a",
    graph: Graph | None = None,
    members: str = "abc",
    *,
    rounds: int = 5,
    timeout_s: float = 30.0,
    has_history: bool = False,
) -> GossipAveraging:
    protocol = GossipAveraging(setup_of(me, rounds), round_timeout_s=timeout_s)
    if has_history:
        protocol.restore(protocol.snapshot())
    protocol.handle(PeersChanged(view_of(me, graph or full_mesh(members), members)), 0.0)
    assert kinds(protocol.handle(Started(), 0.0)) == [Train]
    return protocol


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


def heard(protocol: GossipAveraging, sender: str, round: int, value: float | None = None) -> list[Effect]:
    message = Message("model", round, model(VALUE[sender] if value is None else value))
    return protocol.handle(Received(sender, message), 0.0)


def adopted(effects: list[Effect]) -> Adopt:
    (found,) = [effect for effect in effects if isinstance(effect, Adopt)]
    return found


def sends(effects: list[Effect]) -> list[tuple[str, int]]:
    return [(effect.to, effect.message.round) for effect in effects if isinstance(effect, Send)]


def test_a_round_trains_shares_waits_averages_stores_and_trains_again() -> None:
    protocol = started()

    shared = protocol.handle(Trained(model(1.0)), 0.0)
    assert sends(shared) == [("b", 0), ("c", 0)]
    assert kinds(shared)[-1] is SetTimer
    assert heard(protocol, "c", 0) == []
    merged = heard(protocol, "b", 0)

    assert kinds(merged) == [Adopt, Store, Train]
    assert adopted(merged).model.params == pytest.approx(4.0)
    assert (adopted(merged).round, adopted(merged).merged, adopted(merged).missing) == (1, ("b", "c"), ())


def test_a_merge_sums_in_sender_order_and_keeps_the_largest_age() -> None:
    protocol = started("b")
    protocol.handle(Trained(model(4.0, age=3)), 0.0)
    protocol.handle(Received("c", Message("model", 0, model(7.1, age=9))), 0.0)

    merged = adopted(protocol.handle(Received("a", Message("model", 0, model(0.3, age=1))), 0.0)).model

    third = np.float32(1 / 3)
    expected = np.float32(0.3) * third + np.float32(4.0) * third + np.float32(7.1) * third
    assert merged.params.tobytes() == np.full(PARAMETERS, expected, dtype=np.float32).tobytes()
    assert merged.age == 9


def test_early_messages_are_kept_late_and_foreign_ones_ignored() -> None:
    protocol = started(members="abc", graph=Graph([("a", "b")]))
    heard(protocol, "b", 1, 10.0)
    heard(protocol, "c", 0, 99.0)  # no neighbour
    protocol.handle(Received("x", Message("model", 0, model(99.0))), 0.0)  # not accepted
    protocol.handle(Received("b", Message("model", 0, Model(np.ones(1, dtype=np.float32)))), 0.0)
    protocol.handle(Received("b", Message("gradient", 0, model(99.0))), 0.0)

    first = protocol.handle(Trained(model(1.0)), 0.0)  # b is past round 0: nothing to wait for
    heard(protocol, "b", 0, 99.0)
    second = protocol.handle(Trained(model(2.0)), 0.0)

    assert adopted(first).model.params == pytest.approx(1.0)
    assert adopted(second).model.params == pytest.approx(6.0)
    assert adopted(second).merged == ("b",)


def test_a_message_may_come_before_the_start() -> None:
    protocol = GossipAveraging(setup_of("a", 5))
    protocol.handle(PeersChanged(view_of("a", ring("ab"), "ab")), 0.0)
    assert heard(protocol, "b", 0) == []
    protocol.handle(Started(), 0.0)

    assert adopted(protocol.handle(Trained(model(1.0)), 0.0)).merged == ("b",)


def test_the_weight_of_a_silent_neighbour_returns_to_the_node_when_the_time_is_up() -> None:
    protocol = started()
    (timer,) = [e for e in protocol.handle(Trained(model(1.0)), 0.0) if isinstance(e, SetTimer)]
    heard(protocol, "b", 0)

    at_s = timer.delay_s
    effects = protocol.handle(TimerFired(timer.name), at_s)
    while Adopt not in kinds(effects):
        assert sends(effects) == [("b", 0), ("c", 0)]  # it says that it waits
        (again,) = [effect for effect in effects if isinstance(effect, SetTimer)]
        at_s += again.delay_s
        effects = protocol.handle(TimerFired(timer.name), at_s)
    assert at_s == 30.0
    assert adopted(effects).model.params == pytest.approx((2 * 1 + 4) / 3)
    assert adopted(effects).missing == ("c",)
    assert protocol.handle(TimerFired(timer.name), 31.0) == []


def test_a_neighbour_without_a_link_is_not_waited_for_and_not_missing() -> None:
    protocol = GossipAveraging(setup_of("a", 5))
    protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc", live="b")), 0.0)
    protocol.handle(Started(), 0.0)
    heard(protocol, "b", 0)

    effects = protocol.handle(Trained(model(1.0)), 0.0)
    assert sends(effects) == [("b", 0)]
    assert adopted(effects).merged == ("b",)
    assert adopted(effects).missing == ()


def test_a_neighbour_whose_link_breaks_ends_the_wait() -> None:
    protocol = started()
    protocol.handle(Trained(model(1.0)), 0.0)
    heard(protocol, "b", 0)

    effects = protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc", live="b")), 1.0)
    assert adopted(effects).missing == ("c",)


@pytest.mark.parametrize("timeout_s", [0, inf])
def test_without_a_timeout_no_deadline_fires(timeout_s: float) -> None:
    protocol = started(timeout_s=timeout_s)

    assert kinds(protocol.handle(Trained(model(1.0)), 0.0)) == [Send, Send]


def test_a_peer_that_comes_back_while_we_wait_is_sent_the_round_again() -> None:
    protocol = started()
    protocol.handle(Trained(model(1.0)), 0.0)
    protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc", live="b")), 1.0)

    back = protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc")), 2.0)
    again = protocol.handle(PeersChanged(view_of("a", full_mesh("abc"), "abc")), 3.0)

    assert sends(back) == [("c", 0)]
    assert again == []


def test_a_finished_node_gives_its_last_model_to_a_peer_that_comes_back() -> None:
    protocol = started(members="ab", graph=ring("ab"), rounds=1)
    protocol.handle(Trained(model(1.0)), 0.0)
    assert kinds(heard(protocol, "b", 0)) == [Adopt, Store, Finish]

    protocol.handle(PeersChanged(view_of("a", ring("ab"), "ab", live="")), 1.0)
    back = protocol.handle(PeersChanged(view_of("a", ring("ab"), "ab")), 2.0)
    assert sends(back) == [("b", 0)]

    restored = GossipAveraging(setup_of("a", 1))
    restored.restore(protocol.snapshot())
    restored.handle(PeersChanged(view_of("a", ring("ab"), "ab")), 0.0)
    effects = restored.handle(Started(), 0.0)
    assert kinds(effects) == [Finish, Send]
    assert sends(effects) == [("b", 0)]


def test_a_change_of_the_graph_brings_the_round_to_the_new_neighbours_and_drops_the_old() -> None:
    protocol = started(members="abc", graph=Graph([("a", "b")]))
    protocol.handle(Trained(model(1.0)), 0.0)

    effects = protocol.handle(PeersChanged(view_of("a", Graph([("a", "c")]), "abc")), 1.0)

    assert sends(effects) == [("c", 0)]  # c may wait for us already
    assert adopted(effects).merged == ()  # and b has no reason to send any more


def test_a_node_that_is_left_behind_goes_on_in_the_earliest_round_of_its_neighbours() -> None:
    protocol = started(rounds=60, has_history=True)
    heard(protocol, "b", 5)
    heard(protocol, "c", 6)
    effects = protocol.handle(Trained(model(1.0)), 0.0)

    assert adopted(effects).round == 1
    assert protocol.snapshot().values["round"] == 5
    assert adopted(protocol.handle(Trained(model(1.0)), 0.0)).merged == ("b",)


@pytest.mark.parametrize("rounds_ahead", [(1, 1), (8, 0), (8, 1)])
def test_a_node_does_not_jump_while_one_neighbour_is_near(rounds_ahead: tuple[int, int]) -> None:
    protocol = started(rounds=60, has_history=True)
    heard(protocol, "b", rounds_ahead[0])
    heard(protocol, "c", rounds_ahead[1])
    protocol.handle(Trained(model(1.0)), 0.0)
    heard(protocol, "c", 0)

    assert protocol.snapshot().values["round"] == 1


def test_a_jump_never_leaves_the_budget() -> None:
    protocol = started(rounds=5, has_history=True)
    heard(protocol, "b", 5_000)
    heard(protocol, "c", 5)
    heard(protocol, "b", 4)
    heard(protocol, "c", 4)
    protocol.handle(Trained(model(1.0)), 0.0)

    assert protocol.snapshot().values["round"] == 4
    assert kinds(protocol.handle(Trained(model(1.0)), 0.0))[-1] is Finish


def test_whoever_is_behind_is_told_so_in_words_and_only_by_those_who_send_to_it() -> None:
    protocol = started(members="abc", graph=Graph([("a", "b")]), rounds=9)
    heard(protocol, "b", 0)
    protocol.handle(Trained(model(1.0)), 0.0)

    (answer,) = heard(protocol, "b", 0)

    assert isinstance(answer, Send)
    assert (answer.to, answer.message.kind, answer.message.round) == ("b", "ahead", 1)
    assert answer.message.model is None
    assert heard(protocol, "c", 0) == []


def test_a_finished_node_does_not_keep_others_waiting() -> None:
    finished = started(rounds=3, graph=Graph([("a", "b")]))
    late = started("b", rounds=3, has_history=True)
    for number in range(3):
        heard(finished, "b", number)
        finished.handle(Trained(model(1.0)), 0.0)
    late.handle(Trained(model(4.0)), 0.0)
    heard(late, "c", 0)  # and from a nothing has come: all its messages were lost

    (answer,) = heard(finished, "b", 0)
    assert isinstance(answer, Send)
    effects = late.handle(Received("a", answer.message), 0.0)

    assert adopted(effects).merged == ("c",)
    assert adopted(effects).missing == ("a",)


def test_being_told_that_a_neighbour_is_ahead_does_not_give_up_its_model_of_that_round() -> None:
    protocol = started(members="ab", rounds=9)
    protocol.handle(Trained(model(1.0)), 0.0)

    effects = protocol.handle(Received("b", Message("ahead", 1)), 0.0)
    assert adopted(effects).merged == ()
    assert kinds(protocol.handle(Trained(model(1.0)), 0.0))[-1] is SetTimer

    assert adopted(heard(protocol, "b", 1)).merged == ("b",)


def test_a_slow_node_on_a_one_way_ring_loses_nothing_though_its_sender_is_far_ahead() -> None:
    members = "abcde"
    graph = ring(members, undirected=False)
    make = partial(GossipAveraging, round_timeout_s=0)
    even = Driver(make, graph, members, rounds=12).run()
    skewed = Driver(make, graph, members, rounds=12, train_s={"c": 9.0, "d": 0.1}).run()

    assert skewed.is_finished()
    assert skewed.models() == even.models()
    assert all(len(node.trained_ages) == 12 for node in skewed.nodes.values())


def test_nodes_alone_just_train() -> None:
    driver = Driver(GossipAveraging, Graph([]), "a", rounds=4).run()

    assert [adopt.model.age for adopt in driver.nodes["a"].adopted] == [1, 2, 3, 4]
    assert driver.sent == []


def test_rounds_of_zero_never_end() -> None:
    driver = Driver(GossipAveraging, ring("abc"), "abc", rounds=0)
    driver.run(until=lambda: driver.now_s > 200)

    assert not driver.is_finished()
    assert len(driver.nodes["a"].adopted) > 150


def test_a_run_equals_the_matrix_recursion() -> None:
    members, rounds = "abcdef", 8
    driver = Driver(GossipAveraging, ring(members), members, rounds=rounds).run()

    models = {member: setup_of(member, rounds).model for member in members}
    for _ in range(rounds):
        trained = {member: train(member, models[member]) for member in members}
        for i, member in enumerate(members):
            senders = sorted({members[i - 1], member, members[(i + 1) % 6]})
            params = sum(np.float32(1 / 3) * trained[sender].params for sender in senders)
            models[member] = Model(np.asarray(params, dtype=np.float32), trained[member].age)
    for member in members:
        assert driver.models()[member] == models[member].params.tobytes()


def test_a_killed_node_is_in_the_current_round_again_after_two_trainings() -> None:
    driver = Driver(GossipAveraging, ring("abcde"), "abcde", rounds=60)
    driver.run(until=lambda: driver.now_s > 5)
    stored = driver.crash("c")
    driver.run(until=lambda: driver.now_s > 30)
    before = driver.nodes["a"].adopted[-1].round
    assert before > 25  # the others have gone on at their pace

    driver.restart("c", stored)
    restarted_s = driver.now_s
    driver.run(until=lambda: bool(driver.nodes["c"].adopted) and driver.nodes["c"].adopted[-1].round > before)
    assert driver.now_s < restarted_s + 3
    assert driver.run().is_finished()


def test_bad_options_and_snapshots_are_refused() -> None:
    for wrong in (-1.0, nan):
        with pytest.raises(ConfigError, match="round_timeout_s"):
            GossipAveraging(setup_of("a", 1), round_timeout_s=wrong)
    with pytest.raises(StateError, match="round"):
        GossipAveraging(setup_of("a", 1)).restore(Snapshot())


def test_the_default_budget_is_forty_rounds() -> None:
    assert GossipAveraging.default_rounds(7) == 40
