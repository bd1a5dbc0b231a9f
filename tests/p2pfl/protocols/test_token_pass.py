from dataclasses import replace

import numpy as np
import pytest

from p2pfl.errors import ConfigError
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
from p2pfl.model import Model
from p2pfl.protocols.cyclic_pass import CyclicPass
from p2pfl.protocols.token import Token
from tests.p2pfl.protocols.driver import (
    PARAMETERS,
    Driver,
    Graph,
    full_mesh,
    line,
    ring,
    setup_of,
    star,
    view_of,
)


def model(age: int) -> Model:
    return Model(np.full(PARAMETERS, age, dtype=np.float32), age)


def started(
    me: str, members: str = "abcd", *, graph: Graph | None = None, rounds: int = 9, live: str | None = None
) -> CyclicPass:
    protocol = CyclicPass(setup_of(me, rounds))
    protocol.handle(PeersChanged(view_of(me, graph or full_mesh(members), members, live)), 0.0)
    protocol.handle(Started(), 0.0)
    return protocol


def token(place: str, lap: int, position: int, *, hop: int, relays: int = 0, mint: int = 0) -> Message:
    return Token(mint, lap, position, place, hop, model(hop), relays).message()


def arrives(protocol: CyclicPass, sender: str, message: Message) -> list[Effect]:
    return protocol.handle(Received(sender, message), 0.0)


def trained(protocol: CyclicPass, age: int) -> list[Effect]:
    return protocol.handle(Trained(model(age)), 0.0)


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


def sent(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(effect.to, effect.message.kind) for effect in effects if isinstance(effect, Send)]


def passed(effects: list[Effect]) -> Send:
    (found,) = [e for e in effects if isinstance(e, Send) and e.message.kind == "token"]
    return found


def timer(effects: list[Effect]) -> SetTimer:
    (found,) = [e for e in effects if isinstance(e, SetTimer) and e.name.startswith("token.")]
    return found


def test_the_first_member_mints_the_token_and_only_it() -> None:
    fresh = CyclicPass(setup_of("a", 9))
    fresh.handle(PeersChanged(view_of("a", full_mesh("abcd"), "abcd")), 0.0)

    assert kinds(fresh.handle(Started(), 0.0)) == [Store, Train, SetTimer]
    other = CyclicPass(setup_of("b", 9))
    other.handle(PeersChanged(view_of("b", full_mesh("abcd"), "abcd")), 0.0)
    assert other.handle(Started(), 0.0) == []


def test_a_token_is_stored_before_it_is_acknowledged_and_before_it_is_passed_on() -> None:
    protocol = started("b")

    taken = arrives(protocol, "a", token("b", 0, 1, hop=1))
    assert kinds(taken) == [Store, Send, Train]
    assert sent(taken) == [("a", "token_ack")]

    onward = trained(protocol, 2)
    assert kinds(onward) == [Adopt, Store, Send, SetTimer]
    assert isinstance(onward[0], Adopt)
    assert (onward[0].round, onward[0].merged) == (2, ("a",))
    assert (passed(onward).to, passed(onward).message.round) == ("c", 2)


def test_a_repeated_token_is_acknowledged_again_and_changes_nothing() -> None:
    protocol = started("b")
    arrives(protocol, "a", token("b", 0, 1, hop=1))
    before = protocol.snapshot().values

    again = arrives(protocol, "a", token("b", 0, 1, hop=1))

    assert sent(again) == [("a", "token_ack")]
    assert kinds(again) == [Send]
    assert protocol.snapshot().values == before
    older = token("b", 0, 0, hop=0)
    assert sent(arrives(protocol, "d", older)) == [("d", "token_ack")]


def test_an_unacknowledged_token_is_tried_three_times_and_then_the_place_is_skipped() -> None:
    protocol = started("a")
    effects = trained(protocol, 1)
    delays = []
    for _ in range(3):
        assert passed(effects).to == "b"
        delays.append(timer(effects).delay_s)
        effects = protocol.handle(TimerFired(timer(effects).name), 0.0)

    assert delays == [10.0, 20.0, 40.0]
    skipped = passed(effects)
    assert skipped.to == "c"
    assert (skipped.message.fields["lap"], skipped.message.fields["position"]) == (0, 2)
    assert Store in kinds(effects)


def test_an_acknowledgement_ends_the_retries_and_only_that_of_the_receiver() -> None:
    protocol = started("a")
    effects = trained(protocol, 1)
    acknowledgement = Message("token_ack", 1, None, passed(effects).message.fields)

    arrives(protocol, "c", acknowledgement)
    assert sent(protocol.handle(TimerFired(timer(effects).name), 0.0)) == [("b", "token")]
    arrives(protocol, "b", Message("token_ack", 2, None, passed(effects).message.fields))
    assert sent(protocol.handle(TimerFired(timer(effects).name), 0.0)) == [("b", "token")]
    assert arrives(protocol, "b", acknowledgement) == []
    assert protocol.handle(TimerFired(timer(effects).name), 0.0) == []


@pytest.mark.parametrize(("live", "members"), [("cd", "abcd"), ("bcd", "acd")])
def test_a_place_whose_link_breaks_or_that_leaves_is_skipped_at_once(live: str, members: str) -> None:
    protocol = started("a")
    trained(protocol, 1)

    effects = protocol.handle(PeersChanged(view_of("a", full_mesh("abcd"), members, live)), 1.0)

    assert passed(effects).to == "c"


def test_a_fork_by_a_lost_acknowledgement_dies_at_the_next_member() -> None:
    protocol = started("c")
    arrives(protocol, "b", token("c", 0, 2, hop=2))  # from the living b that a gave up

    from_a = arrives(protocol, "a", token("c", 0, 2, hop=1))

    assert kinds(from_a) == [Send]
    assert sent(from_a) == [("a", "token_ack")]


def test_of_two_tokens_the_larger_key_survives_also_over_a_training_under_way() -> None:
    protocol = started("b")
    arrives(protocol, "a", token("b", 0, 1, hop=1))
    newer = arrives(protocol, "a", token("b", 3, 1, hop=8))
    assert kinds(newer) == [Store, Send]  # one Train is outstanding

    effects = trained(protocol, 2)  # of the older token: dropped
    assert kinds(effects) == [Train]
    assert isinstance(effects[0], Train)
    assert effects[0].model.age == 8
    highest = arrives(protocol, "d", token("b", 0, 1, hop=2, mint=1))  # a higher mint beats all
    assert kinds(highest) == [Store, Send]
    assert kinds(trained(protocol, 9)) == [Train]


def test_a_member_trains_once_in_a_lap_and_passes_the_token_on_untrained() -> None:
    protocol = started("b")
    arrives(protocol, "a", token("b", 0, 1, hop=1))
    effects = trained(protocol, 2)

    again = arrives(protocol, "d", token("b", 0, 7, hop=3))

    assert kinds(effects)[0] is Adopt
    assert kinds(again) == [Store, Send, Send, SetTimer]
    assert passed(again).message.round == 3  # no hop
    assert passed(again).to == "c"


def test_a_relay_stores_acknowledges_and_forwards_but_does_not_train() -> None:
    protocol = started("b", graph=line("abcd"))

    effects = arrives(protocol, "a", token("d", 0, 1, hop=1))

    assert kinds(effects) == [Store, Send, Send, SetTimer]
    assert sent(effects) == [("a", "token_ack"), ("c", "token")]
    assert passed(effects).message.fields["relays"] == 1
    assert passed(effects).message.fields["place"] == "d"


def test_a_relay_that_gets_no_further_skips_the_place() -> None:
    protocol = started("c", graph=line("abcd"), live="b")

    effects = arrives(protocol, "b", token("d", 0, 3, hop=1))  # d is dead: the next place is a, in lap 1

    assert passed(effects).to == "b"
    assert passed(effects).message.fields["place"] == "a"
    assert passed(effects).message.fields["lap"] == 1


def test_a_relay_of_the_final_lap_remembers_whose_model_it_has_when_the_place_is_skipped() -> None:
    def final(place: str, position: int) -> Message:
        return Token(0, 3, position, place, 9, model(9), last="a" if place == "b" else "d").message()

    itself = started("c", graph=ring("abcd"), live="d")
    effects = arrives(itself, "d", final("b", 1))  # b is dead, and the next place is c itself
    (adopt,) = [effect for effect in effects if isinstance(effect, Adopt)]
    assert adopt.merged == ("d",)

    relay = started("a", graph=ring("abcd"), live="d")
    effects = arrives(relay, "d", final("b", 1))  # b is dead, the next place is c: round about d
    assert (passed(effects).to, passed(effects).message.fields["place"]) == ("d", "c")
    view = view_of("a", ring("abcd"), "abcd", "d")
    relay.handle(PeersChanged(replace(view, accepted=view.accepted - {"d"}, refused=frozenset("d"))), 0.0)
    assert relay.snapshot().values["is_holding"] == 0


def test_malformed_tokens_and_strangers_are_ignored() -> None:
    protocol = started("b")
    good = token("b", 0, 1, hop=1)
    assert good.model is not None
    short = Model(np.ones(1, dtype=np.float32))
    wrong: list[Message] = [
        Message("token", 1, None, good.fields),
        Message("token", 1, short, good.fields),
        Message("token", 9, good.model, good.fields),  # beyond the budget
        Message("token", 1, good.model, {**good.fields, "lap": -1}),
        Message("token", 1, good.model, {**good.fields, "place": 7}),
        Message("token", 1, good.model, {**good.fields, "last": "a"}),  # a final lap before the end
        Message("token", 1, good.model, {}),
        Message("riddle", 1, good.model, good.fields),
    ]

    assert [arrives(protocol, "a", message) for message in wrong] == [[]] * len(wrong)
    assert arrives(protocol, "x", good) == []


def test_a_token_may_come_before_the_start() -> None:
    protocol = CyclicPass(setup_of("b", 9))
    protocol.handle(PeersChanged(view_of("b", ring("abc"), "abc")), 0.0)

    assert kinds(arrives(protocol, "a", token("b", 0, 1, hop=1))) == [Store, Send]
    assert Train in kinds(protocol.handle(Started(), 0.0))


def test_a_holder_that_reaches_nobody_waits_before_it_takes_the_next_turn_itself() -> None:
    protocol = started("a")
    protocol.handle(PeersChanged(view_of("a", full_mesh("abcd"), "abcd", "")), 0.0)

    alone = trained(protocol, 1)
    assert sent(alone) == []
    assert timer(alone).delay_s == 10.0

    assert Train in kinds(protocol.handle(TimerFired(timer(alone).name), 10.0))


def test_a_holder_that_reaches_nobody_goes_on_as_soon_as_the_place_is_back() -> None:
    protocol = started("a")
    protocol.handle(PeersChanged(view_of("a", full_mesh("abcd"), "abcd", "")), 0.0)
    trained(protocol, 1)

    back = protocol.handle(PeersChanged(view_of("a", full_mesh("abcd"), "abcd", "b")), 1.0)

    assert passed(back).to == "b"


def test_the_last_lap_brings_the_final_model_to_all_without_training() -> None:
    for members, graph in (("abcde", ring("abcde")), ("abc", line("abc")), ("abcde", star("abcde"))):
        driver = Driver(CyclicPass, graph, members, rounds=7).run()

        assert len(set(driver.models().values())) == 1
        assert sum(len(node.trained_ages) for node in driver.nodes.values()) == 7
        assert all(node.finishes == 1 for node in driver.nodes.values())
        assert {node.adopted[-1].model.age for node in driver.nodes.values()} == {7}


def test_in_the_last_lap_a_linked_place_is_never_given_up() -> None:
    protocol = started("a", members="abc", rounds=1)
    effects = trained(protocol, 1)
    for _ in range(20):
        effects = protocol.handle(TimerFired(timer(effects).name), 0.0)

    assert passed(effects).to == "b"
    assert timer(effects).delay_s == 80.0


def test_who_misses_the_last_lap_is_offered_the_model_when_it_is_back() -> None:
    driver = Driver(CyclicPass, ring("abcde"), "abcde", rounds=10)
    driver.run(until=lambda: driver.now_s > 7)
    stored = driver.crash("d")
    driver.run()
    driver.restart("d", stored)
    driver.run()

    assert len(set(driver.models().values())) == 1
    finals = [message for message in driver.sent if message[2] == "final_model"]
    assert {receiver for _, receiver, _, _ in finals} == {"d"}


def test_a_restarted_holder_trains_on_and_nothing_counts_twice() -> None:
    undisturbed = Driver(CyclicPass, ring("abc"), "abc", rounds=9).run()
    driver = Driver(CyclicPass, ring("abc"), "abc", rounds=9)
    driver.run(until=lambda: driver.now_s > 1.015)  # the token is acknowledged
    assert driver.nodes["b"].is_training

    driver.restart("b", driver.crash("b"))
    driver.run()

    assert driver.models() == undisturbed.models()


def test_a_holder_killed_after_it_stored_passes_the_token_on_again() -> None:
    protocol = started("b")
    arrives(protocol, "a", token("b", 0, 1, hop=1))
    onward = trained(protocol, 2)

    restored = CyclicPass(setup_of("b", 9))
    restored.restore(protocol.snapshot())
    restored.handle(PeersChanged(view_of("b", full_mesh("abcd"), "abcd")), 0.0)
    again = restored.handle(Started(), 0.0)

    assert passed(again).message.fields == passed(onward).message.fields
    assert passed(again).message.round == passed(onward).message.round
    assert Train not in kinds(again)
    assert kinds(arrives(restored, "a", token("b", 0, 1, hop=1))) == [Send]  # seen before the crash


def test_a_finished_node_stays_finished_over_a_restart() -> None:
    driver = Driver(CyclicPass, ring("abc"), "abc", rounds=4).run()
    restored = CyclicPass(setup_of("c", 4))
    restored.restore(driver.nodes["c"].protocol.snapshot())
    restored.handle(PeersChanged(view_of("c", ring("abc"), "abc", live="")), 0.0)

    assert Finish in kinds(restored.handle(Started(), 0.0))


def test_rounds_of_zero_never_end() -> None:
    driver = Driver(CyclicPass, ring("abc"), "abc", rounds=0)
    driver.run(until=lambda: driver.now_s > 100)

    assert not driver.is_finished()
    assert max(node.adopted[-1].model.age for node in driver.nodes.values()) > 90


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_an_ack_timeout_must_be_a_time(wrong: float) -> None:
    with pytest.raises(ConfigError, match="ack_timeout_s"):
        CyclicPass(setup_of("a", 1), ack_timeout_s=wrong)
