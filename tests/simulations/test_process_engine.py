"""Experiments with real daemons: faults at rounds, figures, many nodes, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import topologies
from simulations import Experiment
from simulations.homes import Deployment
from simulations.processes import Processes
from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]
SOFTMAX = {"task": "digits_softmax", "partition": "iid"}  # starts without torch
MEGABYTE = 1e6
is_linux = pytest.mark.skipif(sys.platform != "linux", reason="proportional set sizes are Linux's")


@pytest.mark.slow
def test_one_table_of_faults_serves_virtual_time_and_real_daemons() -> None:
    faults = {
        "crash": [{"node": 2, "at_round": 5, "restart_round": 9}, {"node": 0, "at_round": 12}],
        "leave": [{"node": 3, "at_round": 6, "join_round": 11}],
        "join": [{"node": 4, "at_round": 3}],
    }
    event, processes = (
        Experiment(nodes=6, rounds=20, engine=engine, faults=faults, membership="gossip", **SOFTMAX).run()  # type: ignore[arg-type]
        for engine in ("event", "processes")
    )

    rounds = {row.node: row.round for row in processes.final}
    assert 12 <= rounds.pop(0) <= 20  # a journal is read a little later than it is written
    assert set(rounds.values()) == {20}
    assert [row.round for row in event.final] == [12, 20, 20, 20, 20, 20]
    assert processes.final_accuracy == pytest.approx(event.final_accuracy, abs=0.05)
    down = [node for node, size in enumerate(processes.memory_bytes or ()) if size == 0]
    assert down == ([0] if sys.platform == "linux" else [])
    first = {row.node: row.round for row in reversed(processes.accuracy)}
    assert [first[node] for node in (0, 1, 2, 3, 5)] == [1] * 5


@pytest.mark.slow
def test_a_suspended_daemon_goes_on_when_it_is_woken() -> None:
    faults = {"suspend": [{"node": 1, "at_round": 3, "resume_round": 8}]}
    result = Experiment(nodes=4, rounds=12, engine="processes", faults=faults, **SOFTMAX).run()  # type: ignore[arg-type]
    assert {row.round for row in result.final} == {12}


@pytest.mark.slow
def test_daemons_evaluate_as_often_as_asked_and_the_last_models_in_any_case() -> None:
    every, never = (
        Experiment(nodes=4, rounds=7, engine="processes", evaluate_every=each, **SOFTMAX).run()  # type: ignore[arg-type]
        for each in (3, 0)
    )
    assert {(row.node, row.round) for row in every.accuracy} == {(i, r) for i in range(4) for r in (3, 6)}
    assert never.accuracy == ()
    assert [row.round for row in every.final] == [row.round for row in never.final] == [7] * 4
    assert every.final_accuracy == pytest.approx(never.final_accuracy, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum", "cyclic_pass"])
def test_messages_are_counted_and_not_guessed_from_bytes(protocol: str) -> None:
    event, processes = (
        Experiment(nodes=4, protocol=protocol, rounds=8, engine=engine, evaluate_every=0, **SOFTMAX).run()  # type: ignore[arg-type]
        for engine in ("event", "processes")
    )
    if protocol == "push_sum":  # sends again what is not acknowledged in time
        assert processes.messages_sent == pytest.approx(event.messages_sent, rel=0.5)
        assert processes.bytes_sent / processes.messages_sent == pytest.approx(
            event.bytes_sent / event.messages_sent, rel=0.5
        )
        return
    assert (processes.messages_sent, processes.bytes_sent) == (event.messages_sent, event.bytes_sent)


@pytest.mark.slow
@is_linux
def test_twenty_daemons_on_a_ring() -> None:
    result = Experiment(nodes=20, rounds=20, engine="processes", evaluate_every=0, **SOFTMAX).run()  # type: ignore[arg-type]
    assert [row.round for row in result.final] == [20] * 20
    assert result.final_accuracy > 0.85
    assert result.memory_bytes is not None
    assert 5 * MEGABYTE < min(result.memory_bytes) <= max(result.memory_bytes) < 60 * MEGABYTE


@pytest.mark.slow
@is_linux
def test_a_hundred_daemons_on_a_partial_mesh() -> None:
    mesh = {"name": "partial_mesh", "nodes": 100, "degree": 4}
    result = Experiment(topology=mesh, rounds=5, engine="processes", evaluate_every=0, **SOFTMAX).run()  # type: ignore[arg-type]
    assert [row.round for row in result.final] == [5] * 100
    assert result.memory_bytes is not None
    assert sum(result.memory_bytes) < 4000 * MEGABYTE


SCRIPT = """
from simulations import Experiment

Experiment(nodes=5, rounds=100000, engine="processes", task="digits_softmax").run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_experiment_that_is_ended_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment) as experiment:
        mine = psutil.Process(experiment.pid)
        until(lambda: len(mine.children(recursive=True)) > 5, deadline_s=60)
        children = mine.children(recursive=True)
        assert list(tmp_path.glob("p2pnode-*"))
        experiment.send_signal(number)
        experiment.wait(30)

    assert experiment.returncode != 0
    until(lambda: all(is_gone(child.pid) for child in children), deadline_s=15)
    until(lambda: not list(tmp_path.glob("p2pnode-*")), deadline_s=5)


def test_of_many_nodes_each_is_told_a_few_addresses_and_the_late_do_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    deployment = Deployment(graph=topologies.ring(40), late=frozenset({7}))
    with Processes(deployment, tmp_path) as processes:
        configs = [(daemon.home / "p2pnode.toml").read_text("utf-8") for daemon in processes.daemons]
    assert {config.count("tcp://") for config in configs} == {3}
    assert ["min_peers = 39" in config for config in configs] == [i != 7 for i in range(40)]
