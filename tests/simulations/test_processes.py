"""Real daemons on this machine: they learn, survive, and never outlive whoever started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

import topologies
from p2pfl.errors import P2PError
from simulations.homes import Deployment
from simulations.processes import Processes
from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]
NODES = 5
LAST_ROUND = 10
TIMEOUT_S = 60.0
STOP_S = 5.0  # half of what a daemon may take before it is killed
SOFTMAX = {"name": "digits_softmax"}  # starts without torch


def _ring(
    rounds: int,
    *,
    nodes: int = NODES,
    task: Mapping[str, object] = SOFTMAX,
    protocol: str = "gossip_averaging",
) -> Deployment:
    return Deployment(graph=topologies.ring(nodes), rounds=rounds, task=task, protocol={"name": protocol})


@pytest.fixture(scope="module")
def finished() -> Iterator[Processes]:
    """Five daemons in a ring that have done their rounds and still answer."""
    with Processes(_ring(LAST_ROUND)) as processes:
        processes.start()
        processes.wait_done(timeout_s=TIMEOUT_S)
        yield processes


def test_every_daemon_does_every_round(finished: Processes) -> None:
    for daemon in finished.daemons:
        rounds = [record["round"] for record in daemon.records if record["event"] == "round.done"]
        assert rounds == list(range(1, LAST_ROUND + 1))
        assert daemon.is_running


def test_learning_together_beats_guessing_by_far(finished: Processes) -> None:
    assert min(daemon.accuracy or 0.0 for daemon in finished.daemons) > 0.8


@pytest.fixture(scope="module")
def peers_of_first(finished: Processes) -> list[Mapping[str, object]]:
    """What ``p2pnode peers`` says of the others at node 0, in the order of their numbers."""
    rows = finished.ask(0, "peers")["peers"]
    assert isinstance(rows, list)
    return sorted(rows, key=lambda row: str(row["name"]))


def test_every_daemon_averages_with_its_two_neighbours_on_the_ring(
    finished: Processes, peers_of_first: list[Mapping[str, object]]
) -> None:
    ids = [finished.ask(0, "id")["id"], *(row["id"] for row in peers_of_first)]
    for i, daemon in enumerate(finished.daemons):
        merged = {peer for record in daemon.records for peer in _merged(record)}
        assert merged == {ids[(i - 1) % NODES], ids[(i + 1) % NODES]}


def _merged(record: Mapping[str, object]) -> list[object]:
    found = record.get("merged", [])
    assert isinstance(found, list)
    return found


def test_models_move_along_ring_edges_only(peers_of_first: list[Mapping[str, object]]) -> None:
    sent = {row["name"]: row["models_sent"] for row in peers_of_first}
    received = {row["name"]: row["models_received"] for row in peers_of_first}
    assert sent == {"node-1": LAST_ROUND, "node-2": 0, "node-3": 0, "node-4": LAST_ROUND}
    assert received == sent


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/PID/smaps_rollup is Linux's")
def test_daemons_of_one_fork_server_share_most_of_their_memory(finished: Processes) -> None:
    sizes = finished.proportional_set_sizes()

    assert len(sizes) == NODES
    assert max(sizes) < 100e6


def test_a_killed_daemon_resumes_where_it_was_while_the_others_go_on() -> None:
    with Processes(_ring(rounds=0, nodes=3)) as processes:
        processes.start()
        processes.wait(lambda: min(d.round for d in processes.daemons) >= 5, timeout_s=TIMEOUT_S)
        victim, neighbour = processes.daemons[2], processes.daemons[1]

        processes.kill(2)
        before = victim.round
        assert victim.exit_code == -signal.SIGKILL
        goal = neighbour.round + 5
        processes.wait(lambda: neighbour.round >= goal, timeout_s=TIMEOUT_S)

        processes.restart(2)
        processes.wait(lambda: victim.round >= neighbour.round > goal, timeout_s=TIMEOUT_S)
        resumed = processes.ask(2, "status")["resumed_round"]
        assert isinstance(resumed, int)
        assert resumed >= before - 1  # the checkpoint of the last round may not have been on disk yet


def test_a_stopped_daemon_ends_cleanly_and_leaves_its_model() -> None:
    with Processes(_ring(rounds=0, nodes=3)) as processes:
        processes.start()
        processes.wait(lambda: processes.daemons[0].round >= 2, timeout_s=TIMEOUT_S)

        processes.stop(0)

        assert processes.daemons[0].exit_code == 0
        assert np.isfinite(processes.daemons[0].model()).all()


def test_daemons_that_are_still_looking_for_each_other_end_at_once() -> None:
    with Processes(_ring(rounds=0)) as processes:
        for after_s in (0.1, 0.25, 0.0):
            processes.start()
            processes.poll(after_s)
            started_s = time.monotonic()
            if after_s:
                processes.stop_all()
                assert time.monotonic() - started_s < STOP_S

    assert time.monotonic() - started_s < STOP_S


def test_a_daemon_that_cannot_start_is_quoted() -> None:
    with pytest.raises(P2PError, match="has ended by itself with exit code 3") as caught:
        _run(_ring(5, protocol="gosip"))

    assert any("unknown protocol 'gosip'" in fact for fact in caught.value.facts)
    assert caught.value.exit_code == 3
    assert caught.value.where == ""  # its log goes with the temporary folder


def _run(deployment: Deployment) -> None:
    with Processes(deployment) as processes:
        processes.start()
        processes.wait_done(timeout_s=TIMEOUT_S)


def test_waiting_in_vain_says_how_far_each_daemon_is() -> None:
    with Processes(_ring(rounds=0, nodes=3)) as processes:
        processes.start()
        with pytest.raises(P2PError, match=r"not done within 0.2 s") as caught:
            processes.wait_done(timeout_s=0.2)

    assert caught.value.facts[0].startswith("node-0: running, round")


def test_a_temporary_folder_goes_and_a_given_one_stays(tmp_path: Path) -> None:
    with Processes(_ring(1)) as temporary, Processes(_ring(1), tmp_path) as given:
        assert temporary.folder.is_dir()
    assert not temporary.folder.exists()
    assert (given.folder / "node-4" / "p2pnode.toml").exists()


SCRIPT = """
import sys, topologies
from pathlib import Path
from simulations.homes import Deployment
from simulations.processes import Processes

deployment = Deployment(graph=topologies.ring(3), rounds=0, task={"name": "digits_softmax"})
with Processes(deployment, Path(sys.argv[1])) as processes:
    processes.start()
    print(processes._server.pid, *(daemon.pid for daemon in processes.daemons), flush=True)
    if sys.argv[2] == "exception":
        raise ZeroDivisionError
    processes.wait_done(timeout_s=60)
"""


@pytest.mark.parametrize("end", ["exception", "SIGINT", "SIGKILL"])
def test_no_process_outlives_its_parent(tmp_path: Path, end: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), end]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 1 + 3
        if end != "exception":
            assert all(psutil.pid_exists(pid) for pid in pids)
            os.kill(parent.pid, signal.Signals[end])
        parent.communicate(timeout=30)

    until(lambda: all(is_gone(pid) for pid in pids), deadline_s=15)


@pytest.mark.slow
def test_four_of_five_go_on_at_their_pace_when_one_is_killed() -> None:
    """The issue's figures, with the torch task: 3 s per round, back in the current round within 10 s."""
    with Processes(_ring(rounds=0, task={"name": "digits"})) as processes:
        processes.start()
        processes.wait(lambda: min(d.round for d in processes.daemons) >= 10, timeout_s=TIMEOUT_S)
        others = [daemon for daemon in processes.daemons if daemon.number != 2]
        usual_s = _seconds_for_rounds(processes, 10) / 10

        processes.kill(2)
        for _ in range(10):
            assert _seconds_for_rounds(processes, 1, without=2) < usual_s + 3

        started_s = time.monotonic()
        processes.restart(2)
        back = processes.daemons[2]
        processes.wait(lambda: back.round >= min(daemon.round for daemon in others), timeout_s=10)
        assert time.monotonic() - started_s < 10
        assert back.accuracy is not None
        assert back.accuracy > 0.5


def _seconds_for_rounds(processes: Processes, count: int, without: int = -1) -> float:
    daemons = [daemon for daemon in processes.daemons if daemon.number != without]
    started_s = time.monotonic()
    goals = [daemon.round + count for daemon in daemons]
    processes.wait(
        lambda: all(d.round >= goal for d, goal in zip(daemons, goals, strict=True)), timeout_s=TIMEOUT_S
    )
    return time.monotonic() - started_s


@pytest.mark.slow
@pytest.mark.parametrize("task", ["digits", "digits_softmax"])
def test_thirty_daemons_find_each_other_through_zeroconf(task: str) -> None:
    deployment = Deployment(
        graph=topologies.ring(30), rounds=5, task={"name": task}, partition={"name": "iid"}, discovery="mdns"
    )
    with Processes(deployment) as processes:
        processes.start()
        processes.wait_done(timeout_s=100)
        assert len(processes.models()) == 30
