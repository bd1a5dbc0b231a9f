"""Real daemons on a real network of their own: cables pulled, partitions, slow lines, kill -9."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.computers import ROUND_TIMEOUT_S, Computers
from tests.chaos.namespaces import PREFIX, Wires, why_no_filter, why_not

DEATH_S = 30.0  # until all have noticed: 5 s of silence, 3 s of suspicion, and rounds that wait meanwhile
HEAL_S = 40.0  # TCP doubles its pauses while a cable is out, and goes on within twice as long as it was

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _needs_namespaces() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Computers]:
    with Computers(tmp_path, 3) as computers:
        yield computers


def test_a_pulled_cable_stops_nobody_else_and_what_comes_back_catches_up(three: Computers) -> None:
    three.wires.pull(2)
    three.until(lambda: three.members(0) == three.members(1) == 2, DEATH_S)
    three.rounds(10, [0, 1])
    id_of_2 = three.ask(2, "id")["id"]

    three.wires.plug(2)
    plugged = three.daemons[0].round

    three.until(lambda: {three.members(number) for number in range(3)} == {3}, HEAL_S)
    three.until(lambda: three.has_merged(0, id_of_2, plugged), HEAL_S)
    three.until(lambda: abs(three.daemons[2].round - three.daemons[0].round) <= 2, HEAL_S)


@pytest.fixture
def five(tmp_path: Path) -> Iterator[Computers]:
    with Computers(tmp_path, 5) as computers:
        yield computers


def test_both_sides_of_a_partition_train_on_and_their_rosters_merge_when_it_heals(five: Computers) -> None:
    five.wires.part([0, 1])
    five.until(lambda: [five.members(number) for number in range(5)] == [2, 2, 3, 3, 3], DEATH_S)
    five.rounds(5)
    ids = [five.ask(number, "id")["id"] for number in range(5)]

    five.wires.join()
    healed = max(daemon.round for daemon in five.daemons)

    five.until(lambda: {five.members(number) for number in range(5)} == {5}, HEAL_S)
    five.until(lambda: len({five.roster(number) for number in range(5)}) == 1, HEAL_S)
    for number, sender in ((0, 2), (4, 1)):
        five.until(lambda n=number, s=ids[sender]: five.has_merged(n, s, healed), HEAL_S)  # type: ignore[misc]


def test_a_one_way_cut_costs_its_two_ends_their_exchange_only_and_heals(three: Computers) -> None:
    reason = why_no_filter()
    if reason:
        pytest.skip(reason)
    ids = [three.ask(number, "id")["id"] for number in range(3)]
    three.wires.deafen(2, to=0)
    three.rounds(3)  # what was under way may still have come
    begun = three.daemons[2].round
    three.rounds(5)

    assert not three.has_merged(2, ids[0], begun)
    assert three.has_merged(2, ids[1], begun)
    three.wires.undeafen(2)
    healed = max(daemon.round for daemon in three.daemons)

    three.until(lambda: three.has_merged(2, ids[0], healed) and three.has_merged(0, ids[2], healed), HEAL_S)
    three.until(lambda: {three.members(number) for number in range(3)} == {3}, HEAL_S)


def test_rounds_go_on_over_a_line_of_one_megabit(three: Computers) -> None:
    three.wires.throttle(0, "1mbit")
    begun_s, begun_bytes = time.monotonic(), three.wires.sent_bytes(0)
    three.rounds(50)
    rate = (three.wires.sent_bytes(0) - begun_bytes) / (time.monotonic() - begun_s)

    assert rate < 1.2 * 125_000
    assert three.members(0) == 3
    three.wires.unthrottle(0)
    three.rounds(10)


def test_a_killed_daemon_is_not_waited_for_and_resumes_where_it_was(three: Computers) -> None:
    three.kill(2)
    three.daemons[2].read_journal()
    before = three.daemons[2].round
    started_s = time.monotonic()
    three.rounds(5, [0, 1])
    assert time.monotonic() - started_s < ROUND_TIMEOUT_S  # the link is down at once

    three.start(2)
    three.until(lambda: bool(three.ask(2)))
    resumed = three.ask(2)["resumed_round"]
    assert isinstance(resumed, int)
    assert resumed >= before - 1
    three.until(lambda: abs(three.daemons[2].round - three.daemons[0].round) <= 2, HEAL_S)


def test_nothing_is_left_of_wires_nor_of_those_whose_maker_is_dead() -> None:
    with subprocess.Popen(["sleep", "0"]) as dead:
        dead.wait(10)
    stale = f"{PREFIX}-{dead.pid}-0-switch"
    subprocess.run(["ip", "netns", "add", stale], check=True)
    lost = subprocess.Popen(["ip", "netns", "exec", stale, "sleep", "600"])

    def fail(wires: Wires) -> None:
        sleepers.append(subprocess.Popen(wires.command(0, "sleep", "600")))
        raise ZeroDivisionError

    sleepers: list[subprocess.Popen[bytes]] = []
    with pytest.raises(ZeroDivisionError), Wires(2) as wires:
        fail(wires)

    assert lost.wait(10) == sleepers[0].wait(10) == -signal.SIGKILL
    left = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    assert stale not in left
    assert f"{PREFIX}-{os.getpid()}-" not in left
