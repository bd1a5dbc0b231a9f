"""Numbers of messages after the state folder was lost: raised above what others have seen, within a bound."""

import asyncio
from collections.abc import Mapping

import pytest

from p2pfl.errors import StateError
from p2pfl.peer import links as links_module
from p2pfl.peer.numbering import MAX_OUTRUN, Numbering
from tests.p2pfl.peer.crowd import Crowd


class Desk:
    """A numbering with its disk and its reports."""

    def __init__(self, start: int = 1) -> None:
        self.stored: list[int] = []
        self.reports: list[str] = []
        self.fails = False
        self.numbering = Numbering(start, self.store, self.report)

    def store(self, start: int) -> None:
        if self.fails:
            raise StateError("disk full")
        self.stored.append(start)

    def report(self, event: str, _facts: Mapping[str, object]) -> None:
        self.reports.append(event)

    async def settle(self) -> None:
        if self.numbering._raising is not None:
            await asyncio.wait_for(self.numbering._raising, 5)


async def test_a_mark_above_all_that_was_sent_raises_the_start_once_it_is_on_disk() -> None:
    desk = Desk()
    desk.numbering.next()
    desk.numbering.refused("b", (7, 300))
    desk.numbering.refused("c", (9, 1))  # one at a time
    assert desk.numbering.next() == (1, 2)
    await desk.settle()

    assert desk.stored == [8]
    assert desk.numbering.next() == (8, 3)


async def test_a_mark_of_what_was_sent_changes_nothing() -> None:
    desk = Desk(start=4)
    for _ in range(3):
        desk.numbering.next()
    for mark in ((0, 0), (3, 2**40), (4, 1), (4, 3)):
        desk.numbering.refused("b", mark)
    await desk.settle()

    assert (desk.stored, desk.reports, desk.numbering.start) == ([], [], 4)


async def test_a_peer_that_lies_uses_up_few_numbers_however_often_it_does() -> None:
    desk = Desk(start=5)
    for claim in (2**63 - 1, 5 + MAX_OUTRUN):
        desk.numbering.refused("b", (claim, 1))
        await desk.settle()
    assert desk.stored == []
    for _ in range(1000):
        desk.numbering.refused("b", (desk.numbering.start + MAX_OUTRUN - 1, 1))
        await desk.settle()

    assert desk.numbering.start <= 5 + MAX_OUTRUN
    assert len(desk.stored) == 1


async def test_what_is_not_on_disk_is_not_used() -> None:
    desk = Desk()
    desk.fails = True
    desk.numbering.refused("b", (7, 300))
    await desk.settle()

    assert desk.numbering.next() == (1, 1)
    assert desk.reports == ["node.renumbered", "state.degraded"]


async def test_who_has_lost_all_its_state_is_merged_again_by_those_who_remember_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FIRST_RETRY_S", "YIELD_S"):
        monkeypatch.setattr(links_module, name, 0.05)
    crowd = Crowd(topology="full_mesh", rounds=4000, members=2)
    a, b = crowd.member("a", 0, incarnation=5), crowd.member("b", 1)
    for member in (a, b):
        member.start()
    await b.until("round.done", 5)
    await a.kill()
    wiped = crowd.member("a", 0, incarnation=1)
    wiped.start()
    await wiped.until("node.renumbered")
    at = len(b.facts("round.done"))
    async with asyncio.timeout(20):
        while not any("a" in facts["merged"] for facts in b.facts("round.done")[at:]):  # type: ignore[operator]
            await b.until("round.done", len(b.facts("round.done")) + 1)

    assert wiped.peer._numbering.start == 6
    assert ("b", "duplicate") in wiped.peer._tally.refused_there
    await wiped.stop()
    await b.stop()
