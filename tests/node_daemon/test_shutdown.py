"""A daemon that is told to stop does so in order and in time, whatever it is doing: real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from node_daemon import checkpoint
from node_daemon.journal import read_journal
from tests.awaiting import until
from tests.node_daemon.conftest import write_private
from tests.node_daemon.test_daemon import Start, ask, make_homes
from tests.node_daemon.test_daemon import start as start  # a fixture

pytestmark = pytest.mark.slow

IN_ALL_S = 10.0  # what the specification allows


def stop_in_time(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> float:
    """Stop it; how long it took.  It must have ended in order."""
    began_s = time.monotonic()
    process.send_signal(number)
    assert process.wait(IN_ALL_S) == 0
    return time.monotonic() - began_s


def reasons(home: Path) -> list[object]:
    return [record["reason"] for record in read_journal(home / "state") if record["event"] == "peer.down"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_during_training_with_a_peer_that_is_told(tmp_path: Path, start: Start, number: int) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    processes = [start(home) for home in homes]
    until(lambda: all(int(str(ask(home).get("round", 0))) >= 2 for home in homes), 30)

    took_s = stop_in_time(processes[0], number)

    assert took_s < 5
    until(lambda: bool(reasons(homes[1])))
    assert reasons(homes[1]) == ["leaving"]
    newest = checkpoint.list_checkpoints(homes[0] / "state")[0]
    last = max(r["round"] for r in read_journal(homes[0] / "state") if r["event"] == "round.done")  # type: ignore[type-var]
    assert newest.facts.round >= int(str(last))
    assert ask(homes[1])["pid"]


def test_during_the_start_barrier(tmp_path: Path, start: Start) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    process = start(homes[0])
    until(lambda: ask(homes[0]).get("state") == "waiting", 30)

    assert stop_in_time(process) < 5


def test_while_a_dial_hangs(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:  # takes connections, says nothing
        process = start(home, "--peer", f"tcp://127.0.0.1:{silent.getsockname()[1]}", "--min-peers", "2")
        connection, _ = silent.accept()  # the dial is under way, and hangs in the handshake
        with connection:
            until(lambda: bool(ask(home)), 30)
            assert stop_in_time(process) < 5


def learn(home: Path, **options: object) -> None:
    """Give a home another task, and no part of any data."""
    text = (home / "p2pnode.toml").read_text().partition("[task]")[0]
    listed = "".join(f"{name} = {value}\n" for name, value in options.items())
    task = f"[task]\nname = 'tests.node_daemon.strange_task:strange'\n{listed}"
    write_private(home / "p2pnode.toml", f"{text}{task}[limits]\nlink_ping_s = 0.5\nlink_dead_s = 2.0\n")


def test_during_a_training_that_nobody_can_interrupt(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    learn(home, train_s=60)
    process = start(home)
    until(lambda: ask(home).get("state") == "running", 30)

    assert stop_in_time(process) < 5


@pytest.mark.parametrize("parameters", [10, 5_000_000])
def test_with_a_peer_that_does_not_read(tmp_path: Path, start: Start, parameters: int) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    for home in homes:
        learn(home, parameters=parameters)
    processes = [start(home) for home in homes]
    until(lambda: all(ask(home).get("linked") == 1 for home in homes), 30)
    os.kill(processes[1].pid, signal.SIGSTOP)
    try:
        took_s = stop_in_time(processes[0])
    finally:
        os.kill(processes[1].pid, signal.SIGCONT)

    assert took_s < 7  # the good-bye waits limits.closing_s for nobody


def test_peer_silent_but_connected_is_given_up_and_back_when_it_answers(tmp_path: Path, start: Start) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    for home in homes:
        learn(home, parameters=5_000_000)
    processes = [start(home) for home in homes]
    until(lambda: all(int(str(ask(home).get("round", 0))) >= 2 for home in homes), 30)
    os.kill(processes[1].pid, signal.SIGSTOP)
    try:
        until(lambda: bool(reasons(homes[0])), 15)
        assert reasons(homes[0])[0] in ("silent", "too_slow")
        assert ask(homes[0])["linked"] == 0
    finally:
        os.kill(processes[1].pid, signal.SIGCONT)

    until(lambda: all(ask(home).get("linked") == 1 for home in homes), 45)
    found = [int(str(ask(home)["round"])) for home in homes]
    until(
        lambda: all(int(str(ask(h).get("round", 0))) > n + 2 for h, n in zip(homes, found, strict=True)), 30
    )
    rounds = [r for r in read_journal(homes[0] / "state") if r["event"] == "round.done"]
    assert len(rounds[-1]["merged"]) == 1  # type: ignore[arg-type]  # the other's


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_while_the_first_is_obeyed_ends_it_at_once(
    tmp_path: Path, start: Start, number: int
) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    for home in homes:
        learn(home, parameters=5_000_000)
    processes = [start(home) for home in homes]
    until(lambda: all(int(str(ask(home).get("round", 0))) >= 2 for home in homes), 30)
    os.kill(processes[1].pid, signal.SIGSTOP)  # the good-bye to it stands behind a model, and takes some time
    try:
        processes[0].send_signal(signal.SIGTERM)
        until(lambda: "node.stopping" in (homes[0] / "state/daemon.log").read_text())
        processes[0].send_signal(number)
        assert processes[0].wait(1.0) == 128 + number
    finally:
        os.kill(processes[1].pid, signal.SIGCONT)


def test_with_a_full_pipe_on_stderr_that_nobody_reads_it_goes_on_and_stops_in_order(tmp_path: Path) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    command = [sys.executable, "-m", "node_daemon", "start", "--home", str(home)]
    process = subprocess.Popen(command, text=True, stderr=writer, stdout=subprocess.DEVNULL)
    try:
        until(lambda: int(str(ask(home).get("round", 0))) > 3, 30)

        assert stop_in_time(process) < 5
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)
