import asyncio
import threading

import numpy as np
import pytest

from p2pfl.discovery.discovery import Hint
from p2pfl.events import Event, Message, Trained
from p2pfl.learning.learner import Evaluation, TrainingState
from p2pfl.model import Checkpoint, Model
from p2pfl.node import NodeEffect
from p2pfl.peer import links as links_module
from p2pfl.peer import peer as peer_module
from p2pfl.protocols.cyclic_pass import CyclicPass
from p2pfl.wire.packets import Envelope
from tests.p2pfl.peer.crowd import Adder, Crowd, Member, MortalTransport


async def run_all(*members: Member) -> None:
    for member in members:
        member.start()
    for member in members:
        await member.until("run.finished")


async def stop_all(*members: Member) -> None:
    for member in members:
        await member.stop()


async def test_three_peers_find_each_other_and_agree_on_the_mean() -> None:
    crowd = Crowd(topology="full_mesh", rounds=4)
    members = [crowd.member(name, number) for number, name in enumerate("abc")]

    await run_all(*members)

    for member in members:
        np.testing.assert_allclose(member.peer.model.params, np.full(3, 1.0 + 4), rtol=1e-6)
        assert member.peer.model.age == 4
        assert member.peer.status().state == "finished"
    await stop_all(*members)


async def test_models_travel_along_the_edges_of_the_ring_only() -> None:
    crowd = Crowd(topology="ring", rounds=3, members=5)
    members = [crowd.member(name, number) for number, name in enumerate("abcde")]

    await run_all(*members)

    for number, member in enumerate(members):
        sent = {row.id: row.models_sent for row in member.peer.peers()}
        neighbours = {"abcde"[(number + 1) % 5], "abcde"[(number - 1) % 5]}
        assert sent == {row: 3 * (row in neighbours) for row in sent}
    await stop_all(*members)


async def test_every_round_is_stored_and_reported_with_its_figures() -> None:
    crowd = Crowd(rounds=3)
    members = [crowd.member(name, number) for number, name in enumerate("abc")]

    await run_all(*members)
    for member in members:
        await member.until("round.done", 3)
    await stop_all(*members)

    a = members[0]
    assert [facts["round"] for facts in a.facts("round.done")] == [1, 2, 3]
    assert [facts["merged"] for facts in a.facts("round.done")] == [["b", "c"]] * 3
    assert a.facts("round.done")[-1]["accuracy"] == 1.0
    assert [checkpoint.round for checkpoint in a.stored][-2:] == [3, 3]
    assert a.stored[-1].state["steps"].tolist() == [3]


async def test_a_killed_peer_is_not_waited_for_and_catches_up_from_its_checkpoint() -> None:
    crowd = Crowd(topology="ring", rounds=400, members=3)
    a, b, c = (crowd.member(name, number) for number, name in enumerate("abc"))
    for member in (a, b, c):
        member.start()
    await c.until("round.done", 3)

    await c.kill()
    await a.until("roster.changed", len(a.facts("roster.changed")) + 1)
    round_at_death = a.peer.status().round
    again = crowd.member("c", 2, resume=c.stored[-1], incarnation=2)
    again.start()
    await again.until("run.finished")

    first = again.facts("round.done")[0]
    assert isinstance(first["round"], int)
    assert first["round"] > c.stored[-1].round
    assert round_at_death > c.stored[-1].round
    await a.until("run.finished")
    assert a.peer.status().round == 400
    await stop_all(a, b, again)


async def test_a_peer_that_stops_says_goodbye_and_the_others_go_on_at_once() -> None:
    crowd = Crowd(rounds=300)
    a, b, c = (crowd.member(name, number) for number, name in enumerate("abc"))
    for member in (a, b, c):
        member.start()
    await c.until("round.done", 3)

    await c.stop()
    await a.until("peer.down")

    assert a.facts("peer.down")[0]["reason"] == "leaving"
    await a.until("run.finished")
    assert {row.id: row.state for row in a.peer.peers()} == {"b": "up", "c": "dead"}
    await stop_all(a, b)


async def test_a_failed_training_is_reported_and_the_round_goes_on_with_the_model_as_it_was() -> None:
    crowd = Crowd(rounds=3, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    a.learner.failures = 1

    await run_all(a, b)

    assert "out of luck" in str(a.facts("train.failed")[0]["problem"])
    assert "out of luck" in a.peer.status().last_problem
    assert a.peer.model.age == 3  # the neighbour's, the merge keeps the largest
    np.testing.assert_allclose(a.peer.model.params, 0.5 + 2.5)
    await stop_all(a, b)


async def test_a_paused_peer_holds_back_its_training_until_it_is_resumed() -> None:
    crowd = Crowd(rounds=500, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    for member in (a, b):
        member.start()
    await a.until("round.done", 2)

    a.peer.pause()
    assert a.peer.status().state in ("paused", "pausing")
    await asyncio.sleep(0)
    await a.until("round.done", a.peer.status().round)
    halted = a.peer.status().round
    a.peer.resume()
    await a.until("round.done", halted + 3)

    assert a.peer.status().state == "running"
    await stop_all(a, b)


async def test_a_disk_that_fails_degrades_the_node_and_does_not_stop_it() -> None:
    crowd = Crowd(rounds=3, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    a.log.disk_failures = 1

    await run_all(a, b)

    assert "disk full" in str(a.facts("state.degraded")[0]["problem"])
    await a.stop()
    assert len(a.facts("state.recovered")) == 1
    await b.stop()


async def test_no_round_is_adopted_while_the_one_before_is_not_on_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a = Crowd(rounds=20, members=1).member("a", 0)
    behind: list[int] = []

    def store(found: Checkpoint) -> None:
        behind.append(a.peer.status().round - found.round)

    monkeypatch.setattr(a.peer._outgoing, "_store", store)

    await run_all(a)
    await a.stop()

    assert len(behind) >= 20
    assert max(behind) == 0


async def test_two_plans_do_not_mix_and_both_sides_say_so() -> None:
    crowd = Crowd(rounds=3, members=2)
    a = crowd.member("a", 0)
    b = crowd.member("b", 1, plan=b"\x01" * 8)
    for member in (a, b):
        member.start()

    await a.until("peer.refused")

    assert "plan 1" in str(a.facts("peer.refused")[0]["problem"])
    assert a.peer.status().state == "waiting"
    await stop_all(a, b)


async def test_an_address_that_somebody_wrote_down_and_nobody_answers_is_a_problem() -> None:
    a = Crowd(members=2).member("a", 0)
    a.start()
    await a.until("node.listening")

    a.peer._links.hint(Hint("memory://99"))
    await a.until("peer.unreachable")

    assert "memory://99" in a.peer.status().last_problem
    await a.stop()


async def test_a_large_model_is_averaged_outside_the_loop_with_the_same_result() -> None:
    crowd = Crowd(topology="full_mesh", rounds=2, parameters=1_000_001)
    members = [crowd.member(name, number) for number, name in enumerate("abc")]

    await run_all(*members)

    for member in members:
        np.testing.assert_allclose(member.peer.model.params[[0, -1]], 3.0, rtol=1e-6)
    await stop_all(*members)


async def test_what_was_lost_with_one_end_of_a_link_is_sent_again_over_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of b breaks and that of a does not notice: what a sends then is lost."""
    for name in ("SAME_TIME_S", "FIRST_RETRY_S", "YIELD_S"):
        monkeypatch.setattr(links_module, name, 0.05)
    crowd = Crowd(topology="full_mesh", rounds=1, members=2)
    a, b = crowd.member("a", 0), crowd.member("b", 1)
    a.learner.may_train.clear()
    b.learner.may_train.clear()
    a.start()
    b.start()
    for member in (a, b):
        await member.until("peer.up")

    assert isinstance(b.transport, MortalTransport)
    await asyncio.sleep(2 * links_module.SAME_TIME_S)
    b.transport.break_here()
    a.learner.may_train.set()
    await b.until("peer.up", 2)
    b.learner.may_train.set()

    await b.until("round.done")
    assert b.facts("round.done")[0]["merged"] == ["a"]
    await stop_all(a, b)


async def test_a_peer_that_stops_within_its_last_merge_keeps_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the node has a thread of its own, an event may be under way when the peer is stopped."""
    monkeypatch.setattr(peer_module, "OFFLOAD_PARAMETERS", 1)
    a = Crowd(topology="full_mesh", rounds=1, members=1).member("a", 0)
    is_merged, may_return = threading.Event(), threading.Event()
    handle = a.peer.node.handle

    def handle_slowly(event: Event, now_s: float) -> list[NodeEffect]:
        effects = handle(event, now_s)
        if isinstance(event, Trained):
            is_merged.set()
            assert may_return.wait(10)
        return effects

    monkeypatch.setattr(a.peer.node, "handle", handle_slowly)
    a.start()
    await asyncio.to_thread(is_merged.wait, 10)

    stopping = asyncio.ensure_future(a.stop())
    await asyncio.sleep(0)
    may_return.set()
    await stopping

    assert a.stored[-1].round == 1
    np.testing.assert_array_equal(a.stored[-1].model.params, a.stored[-1].snapshot.arrays["protocol.model"])
    sent = {"bytes_sent": 0, "messages_sent": 0}
    assert a.facts("run.finished") == [{"reason": "1 rounds done", "round": 1, **sent}]


async def test_a_token_passes_round_and_all_end_with_the_final_model() -> None:
    crowd = Crowd(topology="ring", rounds=12, make_protocol=CyclicPass)
    members = [crowd.member(name, 0) for name in "abc"]

    await run_all(*members)

    for member in members:
        np.testing.assert_array_equal(member.peer.model.params, np.full(3, 12.0, np.float32))
    await stop_all(*members)


async def test_a_bug_in_a_learner_ends_the_run_with_its_own_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def evaluate(self: Adder, model: Model) -> Evaluation:
        raise KeyError("a bug")

    monkeypatch.setattr(Adder, "evaluate", evaluate)
    a = Crowd(rounds=3, members=1).member("a", 0)
    a.start()
    assert a.task is not None

    await asyncio.wait([a.task], timeout=10)

    assert isinstance(a.task.exception(), KeyError)


async def test_a_training_that_gives_nan_is_rolled_back_said_and_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = Crowd(rounds=4, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    good = a.learner.train

    def diverge(model: Model, state: TrainingState, **options: None) -> tuple[Model, TrainingState]:
        trained, kept = good(model, state, **options)
        if model.age != 2:
            return trained, kept
        return Model(trained.params * np.float32(np.nan), trained.age), {"steps": np.array([-1])}

    monkeypatch.setattr(a.learner, "train", diverge)

    await run_all(a, b)

    problem = str(a.facts("train.failed")[0]["problem"])
    assert "not finite; rolled back to age 2 (1 so far)" in problem
    assert "not finite" in a.peer.status().last_problem
    assert all(np.isfinite(each.model.params).all() for member in (a, b) for each in member.stored)
    assert -1 not in [each.state["steps"][0] for each in a.stored if each.state]
    assert b.peer.node.finite.refused["a"] == 0
    await stop_all(a, b)


async def test_a_received_model_that_is_not_finite_is_refused_counted_and_said() -> None:
    crowd = Crowd(rounds=5, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    a.learner.may_train.clear()
    for member in (a, b):
        member.start()
    await a.until("peer.up")

    bad = Message("model", 0, Model(np.array([1, np.inf, 1], np.float32)))
    for _ in range(3):
        a.peer._neighbours.packet_arrived("b", Envelope(bad, bytes(8)))

    assert [facts["code"] for facts in a.facts("peer.refused")] == ["not_finite"]  # the others are counted
    assert {row.id: row.refused for row in a.peer.peers()} == {"b": 3}
    assert a.peer.peers()[0].reasons == {"not_finite": 3}
    a.learner.may_train.set()
    await a.until("run.finished")
    assert np.isfinite(a.peer.model.params).all()
    await stop_all(a, b)
