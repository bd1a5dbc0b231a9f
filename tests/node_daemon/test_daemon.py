"""Real daemons, each in a process of its own, on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import node_daemon
from node_daemon.control_client import Json, request
from node_daemon.journal import read_journal
from node_daemon.paths import home_paths
from p2pfl.errors import P2PError
from tests.awaiting import until
from tests.node_daemon.conftest import write_private

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the daemon of a home; whatever is left at the end of the test is killed."""
    processes: list[subprocess.Popen[str]] = []

    def begin(home: Path, *words: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("P2PNODE_")}
        command = [sys.executable, "-m", "node_daemon", "start", "--home", str(home), *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def make_homes(folder: Path, count: int, *, rounds: int) -> list[Path]:
    ports = free_ports(count)
    static = [f"tcp://127.0.0.1:{port}" for port in ports]
    homes = [folder / f"node{i}" for i in range(count)]
    for i, home in enumerate(homes):
        write_private(home / "trust.toml", 'mode = "open"\n')
        write_private(
            home / "p2pnode.toml",
            f"[node]\nname = 'node{i}'\nnumber = {i}\n"
            f"[network]\nport = {ports[i]}\nstatic = {static}\nmdns = false\nmin_peers = {count}\n"
            f"[protocol]\nrounds = {rounds}\n[task]\nname = 'digits_softmax'\n"
            f"[data]\npart = {i}\nparts = {count}\n",
        )
    return homes


def ask(home: Path, command: str = "status") -> Mapping[str, Json]:
    try:
        return request(home_paths(home).socket, command)
    except P2PError:
        return {}


def test_two_daemons_learn_together_and_stop_in_order(tmp_path: Path, start: Start) -> None:
    homes = make_homes(tmp_path, 2, rounds=5)
    processes = [start(home) for home in homes]

    until(lambda: all(ask(home).get("state") == "finished" for home in homes), 30)
    until(lambda: all(ask(home).get("accuracy") is not None for home in homes))
    status, rows = ask(homes[0]), ask(homes[0], "peers")["peers"]
    evaluation = ask(homes[0], "eval")
    ids = [ask(home, "id")["id"] for home in homes]

    assert (status["round"], status["rounds"], status["members"], status["linked"]) == (5, 5, 2, 1)
    assert isinstance(rows, list)
    assert [(row["id"], row["name"], row["state"]) for row in rows if isinstance(row, dict)] == [
        (ids[1], "node1", "up")
    ]
    assert evaluation["count"] == 355
    assert isinstance(evaluation["accuracy"], float)
    assert evaluation["accuracy"] > 0.6
    assert ask(homes[1], "stop")["state"] == "stopping"
    processes[0].send_signal(signal.SIGTERM)
    assert [process.wait(10) for process in processes] == [0, 0]
    assert not home_paths(homes[0]).socket.exists()
    merged = [
        record["merged"] for record in read_journal(homes[0] / "state") if record["event"] == "round.done"
    ]
    assert [ids[1]] in merged

    loaded = node_daemon.load(homes[0])
    assert (loaded.age, loaded.round, loaded.params.size) == (5, 5, 650)
    assert sum(array.size for array in loaded.tensors().values()) == 650
    assert "array" not in repr(loaded)


def test_a_killed_daemon_resumes_from_its_checkpoint(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    first = start(home)
    until(lambda: int(str(ask(home).get("round", 0))) >= 3, 30)
    before = ask(home)
    first.kill()
    first.wait(10)

    second = start(home)
    until(lambda: bool(ask(home)), 30)
    after = ask(home)

    assert int(str(after["resumed_round"])) >= int(str(before["round"])) - 1
    assert after["incarnation"] == 2
    assert after["id"] == before["id"]
    until(lambda: int(str(ask(home).get("round", 0))) > int(str(after["resumed_round"])))
    second.send_signal(signal.SIGINT)
    assert second.wait(10) == 0


def test_training_is_held_back_while_the_node_is_paused(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    start(home)
    until(lambda: ask(home).get("state") == "running", 30)

    assert ask(home, "pause")["state"] in ("paused", "pausing")
    until(lambda: ask(home).get("state") == "paused")
    held = ask(home)["round"]
    assert ask(home, "eval")["round"] == held
    assert ask(home, "resume") == {"state": "running"}
    until(lambda: int(str(ask(home).get("round", 0))) > int(str(held)) + 1)


def test_a_folder_has_one_daemon(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=1)
    first = start(home)
    until(lambda: bool(ask(home)), 30)

    second = start(home)
    _, text = second.communicate(timeout=30)

    assert second.returncode == 1
    assert "is in use" in text
    assert f"pid {first.pid} holds its lock" in text
    assert ask(home)["pid"] == first.pid


def test_a_second_signal_ends_the_daemon_at_once(tmp_path: Path, start: Start) -> None:
    program = (
        "import asyncio, os, signal; from pathlib import Path; from node_daemon import daemon;"
        "from p2pfl.peer.peer import Peer; Peer.stop = lambda self: None;"
        f"daemon.run(Path({str(tmp_path)!r} + '/node0'))"
    )
    (home,) = make_homes(tmp_path, 1, rounds=1)
    stuck = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until(lambda: bool(ask(home)), 30)

    stuck.send_signal(signal.SIGTERM)
    until(lambda: "node.stopping" in (home / "state/daemon.log").read_text())
    stuck.send_signal(signal.SIGTERM)

    assert stuck.wait(10) == 143


def test_the_log_is_json_when_nobody_watches_and_its_events_are_stable(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=2)

    process = start(home, "--until-finished")
    _, text = process.communicate(timeout=30)

    assert process.returncode == 0
    lines = [json.loads(line) for line in text.splitlines()]
    may_be = ("round.done", "loop.lag")  # the second on a busy machine
    assert [line["event"] for line in lines if line["event"] not in may_be] == [
        "node.listening",
        "run.finished",
        "node.stopped",
    ]
    assert all(line["node"] == "node0" for line in lines)
    rounds = [line["round"] for line in lines if line["event"] == "round.done"]
    np.testing.assert_array_equal(rounds, [1, 2])


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["roll_back", "stop"])
def test_a_training_that_gives_no_numbers_is_put_back_and_may_stop_the_node(
    tmp_path: Path, start: Start, policy: str
) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=6)
    config = home / "p2pnode.toml"
    text = config.read_text().replace("'digits_softmax'", "'digits_softmax'\nstep = 1e38")
    config.write_text(text.replace("[node]", f"[node]\nnot_finite = '{policy}'"))

    process = start(home)

    if policy == "stop":
        _, text = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "error: training gives numbers that are none (node.not_finite)" in text
    else:
        until(lambda: ask(home).get("state") == "finished", 30)
        assert (ask(home)["rolled_back"], ask(home)["age"]) == (6, 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert np.isfinite(node_daemon.load(home).params).all()
