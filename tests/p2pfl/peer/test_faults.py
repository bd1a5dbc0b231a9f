"""Exceptions that nobody expected: one peer's end its link, the node's own end the node."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from p2pfl.events import Received, TimerFired, Trained
from p2pfl.node import NodeEffect, NodeInput
from p2pfl.peer import peer as peer_module
from p2pfl.peer.faults import Faults
from p2pfl.transports.fence import CONNECTION
from tests.p2pfl.peer.crowd import Crowd, Member


def fail_over(
    member: Member, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> Callable[[NodeInput, float], list[NodeEffect]]:
    """Have the member's node raise whenever such an event comes; what handled it before."""
    handle = member.peer.node.handle

    def fail(event: NodeInput, now_s: float) -> list[NodeEffect]:
        if isinstance(event, kind):
            raise KeyError("a bug")
        return handle(event, now_s)

    monkeypatch.setattr(member.peer.node, "handle", fail)
    return handle


@pytest.mark.parametrize("kind", [Trained, TimerFired])
@pytest.mark.parametrize("is_offloaded", [False, True])
async def test_a_bug_in_the_nodes_own_state_ends_the_run_with_its_exception(
    monkeypatch: pytest.MonkeyPatch, kind: type[object], is_offloaded: bool
) -> None:
    if is_offloaded:
        monkeypatch.setattr(peer_module, "OFFLOAD_PARAMETERS", 1)
    a = Crowd(rounds=3, members=1).member("a", 0)
    fail_over(a, kind, monkeypatch)
    a.start()
    assert a.task is not None

    await asyncio.wait([a.task], timeout=10)

    assert isinstance(a.task.exception(), KeyError)
    assert a.facts("link.failed") == []
    stored = [each.round for each in a.stored]
    assert stored == sorted(set(stored))  # the rounds alone: at the end nothing that may be half changed
    assert (stored == []) is (kind is Trained)


async def test_a_bug_while_an_effect_is_carried_out_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it was a peer's message that led to the effect: the node believes that it has happened."""
    crowd = Crowd(rounds=3, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))

    def fail(_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(a.peer, "_adopt", fail)
    for member in (a, b):
        member.start()
    assert a.task is not None

    await asyncio.wait([a.task], timeout=10)

    assert isinstance(a.task.exception(), KeyError)
    await b.stop()


@pytest.mark.parametrize("is_offloaded", [False, True])
async def test_a_bug_over_what_a_peer_says_is_counted_and_the_node_goes_on(
    monkeypatch: pytest.MonkeyPatch, is_offloaded: bool
) -> None:
    if is_offloaded:
        monkeypatch.setattr(peer_module, "OFFLOAD_PARAMETERS", 1)
    crowd = Crowd(rounds=3, members=2)
    a, b = (crowd.member(name, number) for number, name in enumerate("ab"))
    handle = fail_over(a, Received, monkeypatch)
    for member in (a, b):
        member.start()

    await a.until("link.failed")
    await b.until("peer.down")

    assert b.facts("peer.down")[0]["reason"] == "internal_error"
    monkeypatch.setattr(a.peer.node, "handle", handle)
    for member in (a, b):
        await member.until("run.finished")
        await member.stop()


async def test_what_an_event_loop_says_of_a_connection_does_not_crash() -> None:
    reports: list[tuple[str, Mapping[str, object]]] = []
    crashes: list[Exception] = []
    faults = Faults(lambda event, facts: reports.append((event, facts)), lambda *_: None, crashes.append)
    loop, error = asyncio.get_running_loop(), ValueError("odd")

    faults.of_loop(loop, {"exception": error, "message": "", CONNECTION: "tcp://10.0.0.7:80"})
    faults.of_loop(loop, {"exception": error, "message": "Task exception was never retrieved"})
    faults.of_loop(loop, {"message": "something without an exception"})

    assert [(event, facts["address"]) for event, facts in reports] == [("link.failed", "tcp://10.0.0.7:80")]
    assert crashes[0] is error
    assert "without an exception" in str(crashes[1])
    assert faults.count == 1
