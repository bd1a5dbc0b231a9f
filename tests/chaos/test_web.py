"""Every fault of a link between two of five peers on a ring, over TLS: the rest goes on, and it heals."""

from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from p2pfl.peer import links as links_module
from tests.chaos.proxy import FAIR, Way, Weather
from tests.chaos.web import Net, Web, id_of, running, was_missing
from tests.p2pfl.peer.crowd import Member

LARGE = 150_000  # parameters: 600 kB
Fault = Callable[[Net, str, str], None]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off ends at a second instead of thirty."""
    monkeypatch.setattr(links_module, "LAST_RETRY_S", 1.0)


def _cut(net: Net, one: str, other: str) -> None:
    net.refuse(one, other)
    for proxy in net.between(one, other):
        proxy.cut()


def _reset(net: Net, one: str, other: str) -> None:
    net.refuse(one, other)
    for proxy in net.between(one, other):
        proxy.reset()


def _half_close(net: Net, one: str, other: str) -> None:
    net.refuse(one, other)
    for proxy in net.between(one, other):
        proxy.half_close(Way.OUT)


def _stall(net: Net, one: str, other: str) -> None:
    net.set(Weather(is_stalled=True), one, other)
    net.set(Weather(is_stalled=True), other, one)


def _stall_one_way(net: Net, one: str, other: str) -> None:
    net.set(Weather(is_stalled=True), one, other)


def _heal(net: Net, one: str, other: str) -> None:
    net.refuse(one, other, is_refusing=False)
    net.set(FAIR, one, other)
    net.set(FAIR, other, one)


def _cases(first: Fault, *more: Fault) -> list[ParameterSet]:
    """The first with the fast tests, the others with the slow ones."""
    slow = [pytest.param(fault, marks=pytest.mark.slow, id=fault.__name__[1:]) for fault in more]
    return [pytest.param(first, id=first.__name__[1:]), *slow]


@pytest.mark.parametrize("fault", _cases(_cut, _reset, _half_close))
async def test_a_broken_link_is_seen_by_both_the_rest_goes_on_and_it_comes_back(
    tmp_path: Path, fault: Fault
) -> None:
    async with running(Web(tmp_path)) as web:
        one, other = web.members[:2]

        fault(web.net, id_of(one), id_of(other))
        for member in (one, other):
            await member.until("peer.down")
        await web.rounds(10)
        _heal(web.net, id_of(one), id_of(other))

        await web.exchanged(one, other)
        assert not any(was_missing(member, one) for member in web.members if member is not other)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [_stall, _stall_one_way], ids=["stall", "stall_one_way"])
async def test_a_silent_link_costs_its_two_ends_a_deadline_per_round_and_comes_back(
    tmp_path: Path, fault: Fault
) -> None:
    async with running(Web(tmp_path)) as web:
        one, other = web.members[:2]

        fault(web.net, id_of(one), id_of(other))
        await web.until(other, lambda: was_missing(other, one))
        await web.rounds(2)
        _heal(web.net, id_of(one), id_of(other))

        await web.exchanged(one, other)


async def test_delay_and_jitter_slow_the_rounds_down_and_break_nothing(tmp_path: Path) -> None:
    async with running(Web(tmp_path)) as web:
        one, other = web.members[:2]
        web.net.set(Weather(delay_s=0.05, jitter_s=0.05), id_of(one), id_of(other))

        await web.rounds(5)

        await web.exchanged(one, other)
        assert _downs(web.members) == 0
        assert not was_missing(other, one)


@pytest.mark.slow
async def test_a_throttled_body_is_given_up_and_the_pair_meets_again_at_full_speed(tmp_path: Path) -> None:
    """Below the rate floor: half a body per window."""
    async with running(Web(tmp_path, parameters=LARGE)) as web:
        one, other = web.members[:2]
        web.net.set(Weather(bytes_per_s=100_000), id_of(one), id_of(other))

        await one.until("peer.down")  # the other side may be linked anew before the old link is gone
        await web.rounds(3)
        web.net.set(FAIR, id_of(one), id_of(other))

        assert "too_slow" in str(one.facts("peer.down")[0]["reason"])
        await web.exchanged(one, other)


def _downs(members: list[Member]) -> int:
    return sum(len(member.facts("peer.down")) for member in members)
