"""Real peers whose clocks jump, and two that run under one id."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

import pytest

from tests.p2pfl.peer.crowd import Crowd

HOUR_S = 3600.0
SOME_DAY_S = 1.7e9


@pytest.fixture
def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wall clock is an hour ahead, right, and an hour behind, one asking after the other."""
    jumps = cycle([HOUR_S, 0.0, -HOUR_S])
    monkeypatch.setattr(time, "time", lambda: SOME_DAY_S + time.monotonic() + next(jumps))
    return iter(())


@pytest.mark.usefixtures("jumping_clock")
async def test_a_wall_clock_that_jumps_by_an_hour_changes_nothing() -> None:
    crowd = Crowd(rounds=8)
    members = [crowd.member(name, number) for number, name in enumerate("abc")]
    for member in members:
        member.start()
    for member in members:
        await member.until("run.finished")

    assert not [facts for member in members for facts in member.facts("peer.down")]
    assert {tuple(member.peer.membership.roster) for member in members} == {("a", "b", "c")}
    assert {member.peer.membership.incarnation for member in members} == {1}
    for member in members:
        await member.stop()


async def test_a_copied_state_folder_is_refused_and_both_processes_say_so() -> None:
    crowd = Crowd(rounds=0, members=2)
    first, other = crowd.member("a", 0), crowd.member("b", 1)
    first.start()
    other.start()
    await other.until("peer.up")

    copy = crowd.member("a", 0)
    copy.peer._greeting = replace(copy.peer._greeting, boot=bytes([9] * 8))
    copy.start()
    await other.until("peer.refused")
    await copy.until("peer.refused")

    for member in (other, copy):
        assert {facts["code"] for facts in member.facts("peer.refused")} == {"duplicate_id"}
    assert other.peer.membership.linked == {"a"}
    assert not other.facts("peer.down")
    for member in (first, other, copy):
        await member.stop()
