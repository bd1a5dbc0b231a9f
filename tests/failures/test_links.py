"""Rows of the table in docs/reliability.md about links and messages: real peers over TLS, in one loop."""

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest

import topologies
from p2pfl.events import Message, Received
from p2pfl.learning.learner import TrainingState
from p2pfl.model import Model
from p2pfl.node import NodeEffect, NodeInput
from p2pfl.peer import links as links_module
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Packet
from tests.chaos.proxy import FAIR, Weather
from tests.chaos.web import DEADLINE_S, QUICK_LIMITS, ROUND_TIMEOUT_S, Web, id_of, running, was_missing
from tests.p2pfl.peer.crowd import QUICK, Crowd, Member
from tests.simulations.test_faulty_runs import simulate
from tests.simulations.test_token_recovery import Run

LARGE = 150_000  # parameters: 600 kB
SLOW = Weather(bytes_per_s=100_000)
STALLED = Weather(is_stalled=True)
HALF_SENT = 20_000  # bytes: more than everything else that is said meanwhile, less than a model
SPARE_S = 2.0  # for what else a busy machine does
DEATH_S = QUICK.silence_s + QUICK.suspicion_s


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off ends at a second instead of thirty."""
    monkeypatch.setattr(links_module, "LAST_RETRY_S", 1.0)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110  # nobody tells of what a proxy or a roster does
            await asyncio.sleep(0.005)


def _set(web: Web, weather: Weather, senders: Iterable[Member], receivers: Iterable[Member]) -> None:
    for sender, receiver in product(senders, receivers):
        if sender is not receiver:
            web.net.set(weather, id_of(sender), id_of(receiver))


def _sizes(members: Iterable[Member]) -> list[int]:
    return [member.peer.status().members for member in members]


@pytest.mark.slow
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "without a word"])
async def test_peer_dies_mid_transfer(tmp_path: Path, is_reset: bool) -> None:
    async with running(Web(tmp_path, parameters=LARGE)) as web:
        dying, neighbour = web.members[:2]
        _set(web, SLOW, [dying], web.members)
        before = web.net.forwarded(id_of(dying), id_of(neighbour))
        await eventually(lambda: web.net.forwarded(id_of(dying), id_of(neighbour)) > before + HALF_SENT)

        died_s = time.monotonic()
        if is_reset:
            for proxy in web.net.between(id_of(dying), id_of(neighbour)):
                proxy.reset()
        else:
            _set(web, STALLED, [dying], web.members)
        await neighbour.until("peer.down")
        assert time.monotonic() - died_s < QUICK_LIMITS.transfer_window_s + SPARE_S
        await web.rounds(3, *web.members[1:])

        reason = str(neighbour.facts("peer.down")[0]["reason"])
        assert ("too_slow" in reason) is not is_reset
        assert Limits().transfer_window_s == 10
        _set(web, FAIR, [dying], web.members)
        await web.exchanged(dying, neighbour)


@pytest.mark.slow
async def test_peer_silent_but_connected(tmp_path: Path) -> None:
    async with running(Web(tmp_path)) as web:
        silent, neighbour, *_ = web.members
        others = web.members[1:]
        begun_s = time.monotonic()
        _set(web, STALLED, [silent], others)
        _set(web, STALLED, others, [silent])

        await eventually(lambda: _sizes(others) == [4] * 4)
        assert time.monotonic() - begun_s < DEATH_S + SPARE_S
        await web.rounds(10, *others)  # it is waited for no more
        _set(web, FAIR, [silent], others)
        _set(web, FAIR, others, [silent])

        await eventually(lambda: _sizes(web.members) == [5] * 5)
        await web.exchanged(silent, neighbour)


@pytest.mark.slow
async def test_slow_peer(tmp_path: Path) -> None:
    """Its bodies would take six seconds each; a round waits for one of them no longer than its timeout."""
    async with running(Web(tmp_path, parameters=LARGE)) as web:
        slow, neighbour, *_ = web.members
        _set(web, SLOW, [slow], web.members)
        await eventually(lambda: was_missing(neighbour, slow) or bool(slow.facts("peer.down")))

        begun_s = time.monotonic()
        await web.rounds(4, *web.members[1:])
        assert time.monotonic() - begun_s < 4 * ROUND_TIMEOUT_S + SPARE_S
        await slow.until("peer.down")  # the neighbour may be linked anew before the old link is gone
        assert "too_slow" in str(slow.facts("peer.down")[0]["reason"])


@pytest.mark.slow
async def test_partition(tmp_path: Path) -> None:
    async with running(Web(tmp_path)) as web:
        few, many = web.members[:2], web.members[2:]
        _set(web, STALLED, few, many)
        _set(web, STALLED, many, few)
        await eventually(lambda: _sizes(web.members) == [2, 2, 3, 3, 3])
        await web.rounds(10)

        _set(web, FAIR, few, many)
        _set(web, FAIR, many, few)

        await eventually(lambda: _sizes(web.members) == [5] * 5)
        await web.exchanged(few[1], many[0])


@pytest.mark.slow
async def test_one_way_partition(tmp_path: Path) -> None:
    """What two of five say is not heard by the others; what those say is."""
    async with running(Web(tmp_path)) as web:
        unheard, others = web.members[:2], web.members[2:]
        _set(web, STALLED, unheard, others)
        await eventually(lambda: _sizes(others) == [3] * 3)
        await web.rounds(4)

        _set(web, FAIR, unheard, others)

        await eventually(lambda: _sizes(web.members) == [5] * 5)
        await web.exchanged(unheard[1], others[0])


async def test_late_join() -> None:
    """One round of its own and one transfer after it has joined, it is where the others are."""
    crowd = Crowd(topology="full_mesh", rounds=0, members=3)
    veterans = [crowd.member(name, number) for number, name in enumerate("abc")]
    for member in veterans:
        member.log.most_kept = 2
        member.start()
    for member in veterans:
        await member.until("round.done", 20)

    newcomer = crowd.member("d", 3)
    newcomer.log.most_kept = 2
    newcomer.start()
    await newcomer.until("peer.up", 3)
    joined = min(member.peer.status().round for member in veterans)
    await newcomer.until("round.done", 2)

    second = newcomer.facts("round.done")[1]
    assert isinstance(second["round"], int)
    assert second["round"] >= joined
    await veterans[0].until("roster.changed", 2)
    for member in (*veterans, newcomer):
        await member.stop()


def test_token_lost() -> None:
    """The holder dies with the token: the lowest living member mints one with mint + 1, and all end alike."""
    run = Run("cyclic_pass", topologies.ring(5), rounds=20)
    dead = run.holder_at(7.5)
    run.crash(dead, 7.5)
    run.go()  # the simulator itself watches that nobody trains twice in one (mint, lap)

    assert run.mints() == {"0", "1"}
    assert run.unfinished == set()
    assert len(run.finals()) == 1


def test_repeated_or_reordered_message() -> None:
    """Three in ten messages come twice: the same bytes.  Out of order as well: no mass is made or lost."""
    graph, perfect = topologies.full_mesh(8), {"latency_s": 0.05}
    once = simulate("gossip_averaging", graph, faults={}, network=perfect, rounds=150)
    twice = simulate("gossip_averaging", graph, faults={}, network={**perfect, "duplicate": 0.3}, rounds=150)

    assert sum(twice.message_counts.values()) >= 8 * 7 * 150
    assert {m: model.params.tobytes() for m, model in twice.models.items()} == {
        m: model.params.tobytes() for m, model in once.models.items()
    }
    mixed = {**perfect, "duplicate": 0.3, "reorder": 0.3, "jitter_s": 0.2}
    for protocol in ("push_sum", "cyclic_pass", "random_walk"):
        found = simulate(protocol, topologies.full_mesh(5), faults={}, network=mixed, rounds=20)
        assert len(found.finished) == 5


async def test_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock leaps by an hour, to and fro, each time it is looked at."""
    leaps = count()
    monkeypatch.setattr(time, "time", lambda: 2e9 + 3600 * (-1) ** next(leaps))
    async with running(Web(tmp_path, count=3)) as web:
        begun_s = time.monotonic()
        await web.rounds(20)

        assert time.monotonic() - begun_s < SPARE_S
        assert _sizes(web.members) == [3] * 3
        assert not any(was_missing(one, other) for one, other in product(web.members, web.members))
        assert sum(len(member.facts("peer.down")) for member in web.members) == 0


async def test_nan_or_inf() -> None:
    """One whose training gives Inf goes on with its last good model, and none of it leaves."""
    crowd = Crowd(rounds=30, members=2)
    sick, well = (crowd.member(name, number) for number, name in enumerate("ab"))
    good, seen = sick.learner.train, list[bool]()
    arrived = well.peer._neighbours.packet_arrived

    def diverge(model: Model, state: TrainingState, **options: None) -> tuple[Model, TrainingState]:
        trained, kept = good(model, state, **options)
        is_bad = model.age % 5 == 2
        return (Model(trained.params * np.float32(np.inf), trained.age), kept) if is_bad else (trained, kept)

    def note(peer: str, packet: Packet) -> None:
        seen.append(_is_finite(packet))
        arrived(peer, packet)

    sick.learner.train = diverge  # type: ignore[method-assign, assignment]
    well.peer._neighbours.packet_arrived = note  # type: ignore[method-assign]
    for member in (sick, well):
        member.start()
    for member in (sick, well):
        await member.until("run.finished")

    assert sick.facts("train.failed")
    assert seen
    assert all(seen)  # none leaves
    assert all(np.isfinite(each.model.params).all() for member in (sick, well) for each in member.stored)
    for member in (sick, well):
        await member.stop()


async def test_nan_or_inf_from_a_peer() -> None:
    """Three strikes, and the peer is ignored for a while; none of it enters."""
    crowd = Crowd(rounds=30, members=2)
    sick, well = (crowd.member(name, number) for number, name in enumerate("ab"))
    well.learner.may_train.clear()
    for member in (sick, well):
        member.start()
    await well.until("peer.up")

    bad = Message("model", 0, Model(np.array([1, np.nan, 1], np.float32)))
    for _ in range(3):
        well.peer._neighbours.packet_arrived("a", Envelope(bad, bytes(8)))

    assert [facts["code"] for facts in well.facts("peer.refused")] == ["not_finite"]  # said once a minute
    assert well.peer.node.finite.refused["a"] == 3
    assert well.peer.node.finite.muted == {"a"}
    well.learner.may_train.set()
    await well.until("run.finished")
    await well.until("round.done", 30)
    merged = [facts["merged"] for facts in well.facts("round.done")]
    assert merged[:10] == [[]] * 10
    assert ["a"] in merged[10:]
    assert all(np.isfinite(each.model.params).all() for each in well.stored)
    for member in (sick, well):
        await member.stop()


def _is_finite(packet: Packet) -> bool:
    model = packet.message.model if isinstance(packet, Envelope) else None
    return model is None or bool(np.isfinite(model.params).all())


async def test_exception_in_a_peers_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that one peer's words wake ends the link with that peer, once per message, and nothing else."""
    async with running(Web(tmp_path)) as web:
        one, other = web.members[:2]
        handle = other.peer.node.handle

        def fail_over_one(event: NodeInput, now_s: float) -> list[NodeEffect]:
            if isinstance(event, Received) and event.sender == id_of(one):
                raise KeyError("a bug")
            return handle(event, now_s)

        with monkeypatch.context() as patch:
            patch.setattr(other.peer.node, "handle", fail_over_one)
            await other.until("link.failed")
            await web.rounds(10)

        failure = other.facts("link.failed")[0]
        assert failure["peer"] == id_of(one)
        assert failure["problem"] == "KeyError: 'a bug'"
        assert failure["count"] == 1
        assert "fail_over_one" in str(failure["traceback"])
        assert other.facts("peer.down")[0]["reason"] == "internal_error"
        assert {m for m in web.members if m.facts("peer.down")} == {one, other}
        await web.exchanged(one, other)
