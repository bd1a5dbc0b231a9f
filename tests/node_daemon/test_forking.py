"""The fork server starts a daemon per line, tells how each ends, and leaves none behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.awaiting import DEADLINE_S, is_gone, until

ROOT = Path(__file__).parents[2]


class Server:
    """The program of ``fork_program.py``, spoken to in lines."""

    def __init__(self, folder: Path, grace_s: float = 5.0) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.node_daemon.fork_program", str(grace_s)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def start(self, name: str) -> int:
        home = self.folder / name
        home.mkdir()
        self.write(json.dumps({"home": str(home)}))
        line = self.read()
        assert line["home"] == str(home)
        assert "exit_code" not in line
        return int(line["pid"])

    def start_and_await(self, name: str) -> int:
        pid = self.start(name)
        until((self.folder / name / "ready").exists)
        return pid

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, str | int]:
        assert self.process.stdout is not None
        line: dict[str, str | int] = json.loads(self.process.stdout.readline())
        return line

    def end_input(self) -> list[dict[str, str | int]]:
        """Close the input, wait for the end; the remaining reports."""
        reports, _ = self.process.communicate(timeout=DEADLINE_S)
        return [json.loads(line) for line in reports.splitlines()]

    def log(self, name: str) -> str:
        return (self.folder / name / "daemon.log").read_text("utf-8")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def test_each_line_starts_a_daemon_and_its_end_is_reported(server: Server) -> None:
    pid = server.start("seven")

    assert server.read() == {"home": str(server.folder / "seven"), "pid": pid, "exit_code": 7}
    assert (server.folder / "seven" / "prepared").exists()
    assert server.log("seven") == "running seven\n"


def test_children_are_asked_to_stop_when_the_input_ends(server: Server) -> None:
    pids = {server.start_and_await("one"), server.start_and_await("two")}

    reports = server.end_input()

    assert {line["pid"]: line["exit_code"] for line in reports} == dict.fromkeys(pids, -signal.SIGTERM)
    assert all(is_gone(pid) for pid in pids)
    assert server.process.returncode == 0


def test_a_stubborn_child_is_killed_after_the_grace(tmp_path: Path) -> None:
    server = Server(tmp_path, grace_s=0.2)
    pid = server.start_and_await("stubborn")

    (report,) = server.end_input()

    assert (report["pid"], report["exit_code"]) == (pid, -signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_its_children(server: Server, number: signal.Signals) -> None:
    pid = server.start_and_await("one")

    server.process.send_signal(number)

    assert server.read()["exit_code"] == -signal.SIGTERM
    assert server.process.wait(DEADLINE_S) == 0
    assert is_gone(pid)


@pytest.mark.parametrize("name", ["one", "orphan"])
def test_children_end_when_the_server_is_killed(server: Server, name: str) -> None:
    pid = server.start_and_await(name)

    server.process.kill()

    until(lambda: is_gone(pid))


def test_a_stubborn_orphan_is_killed_when_its_lifeline_breaks(tmp_path: Path) -> None:
    server = Server(tmp_path, grace_s=0.2)
    pid = server.start_and_await("stubborn_orphan")

    server.process.kill()
    server.process.communicate()

    until(lambda: is_gone(pid))


def test_a_killed_child_is_reported_and_the_others_go_on(server: Server) -> None:
    victim, other = server.start_and_await("one"), server.start_and_await("two")

    os.kill(victim, signal.SIGKILL)

    assert server.read() == {"home": str(server.folder / "one"), "pid": victim, "exit_code": -signal.SIGKILL}
    assert not is_gone(other)


def test_an_error_of_the_operator_is_one_message_and_its_exit_code(server: Server) -> None:
    server.start("wrong_config")

    assert server.read()["exit_code"] == 3
    assert server.log("wrong_config").endswith("error: unknown topology 'rign'\n  fix: did you mean ring?\n")


def test_a_bug_leaves_its_traceback_in_the_log(server: Server) -> None:
    server.start("bug")

    assert server.read()["exit_code"] == 1
    assert "ZeroDivisionError: a bug" in server.log("bug")


def test_a_server_with_a_second_thread_refuses_to_fork(server: Server) -> None:
    (server.folder / "threaded").mkdir()
    server.write(json.dumps({"home": str(server.folder / "threaded")}))

    _, errors = server.process.communicate(timeout=DEADLINE_S)

    assert "the fork server has 2 threads and cannot fork safely" in errors
    assert server.process.returncode != 0


def test_daemons_of_one_batch_begin_when_the_last_of_them_is_forked(server: Server) -> None:
    names = ["gated_1", "gated_2", "gated_3"]
    for name in names:
        (server.folder / name).mkdir()

    server.write("\n".join(json.dumps({"home": str(server.folder / name)}) for name in names))

    pids = {str(server.read()["pid"]) for _ in names}
    for name in names:
        path = server.folder / name / "siblings"
        until(path.exists)
        assert set(path.read_text("utf-8").split()) == pids


def test_a_temporary_folder_goes_with_the_server(server: Server) -> None:
    server.write(json.dumps({"temporary": str(server.folder / "run")}))
    pid = server.start_and_await("run")

    server.end_input()

    assert is_gone(pid)
    assert not (server.folder / "run").exists()
    assert server.folder.exists()


@pytest.mark.parametrize("line", ["not json", "{}", "[]", '{"home": 3}'])
def test_a_line_that_is_no_home_ends_the_server_and_its_children(server: Server, line: str) -> None:
    pid = server.start_and_await("one")

    server.write(line)
    server.process.wait(DEADLINE_S)

    assert is_gone(pid)
