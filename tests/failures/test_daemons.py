"""Rows of the table in docs/reliability.md about a process and its disk: real daemons."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from node_daemon.checkpoint import Entry, list_checkpoints
from node_daemon.control_client import Json, request
from node_daemon.journal import read_journal
from node_daemon.paths import home_paths
from p2pfl.errors import P2PError
from tests.awaiting import until
from tests.node_daemon.test_daemon import make_homes

START_S = 30.0
STOP_S = 10.0  # the bound of the table
NO_CHECKPOINT = 5  # exit codes
SMALL = "96k"  # of a disk: what a few checkpoints and the journal soon fill
ROOMY = "64m"
OUTPUT = "output.log"

pytestmark = pytest.mark.slow
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the daemon of a home, by way of the command ``through``; what is left at the end is killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(home: Path, *words: str, through: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        surroundings = {k: v for k, v in os.environ.items() if not k.startswith("P2PNODE_")}
        command = [*through, sys.executable, "-m", "node_daemon", "start", "--home", str(home), *words]
        with (home / OUTPUT).open("ab") as output:  # a pipe that nobody reads would hold the daemon up
            process = subprocess.Popen(command, stderr=output, env=surroundings)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait(STOP_S)


def ask(home: Path) -> Mapping[str, Json]:
    """The daemon's status; empty while it does not answer."""
    try:
        return request(home_paths(home).socket, "status")
    except P2PError:
        return {}


def round_of(home: Path) -> int:
    """The last round that the daemon has done."""
    return int(str(ask(home).get("round", 0)))


def checkpoints(home: Path) -> list[Entry]:
    """The newest first."""
    return list_checkpoints(home / "state")


def spoil(path: Path) -> None:
    """Flip one byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> float:
    """Ask a daemon to end, which it must do in order; how long it took in seconds."""
    begun_s = time.monotonic()
    process.send_signal(how)
    assert process.wait(2 * STOP_S) == 0
    return time.monotonic() - begun_s


def _why_no_disk() -> str:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "a small disk needs root, unshare and nsenter"
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        "" if subprocess.run(trial, capture_output=True).returncode == 0 else "no tmpfs can be mounted here"
    )


def test_disk_full(tmp_path: Path, start: Start) -> None:
    """In a mount namespace of its own, so that the small disk goes with the daemon."""
    reason = _why_no_disk()
    if reason:
        pytest.skip(reason)
    (home,) = make_homes(tmp_path, 1, rounds=0)
    state = home / "state"
    state.mkdir(mode=0o700)
    mount = f'mount -t tmpfs -o mode=700,size={SMALL} none "{state}" && exec "$@"'
    process = start(home, through=("unshare", "--mount", "sh", "-c", mount, "sh"))

    until(lambda: "degraded: disk full" in str(ask(home)), START_S)
    full = round_of(home)
    until(lambda: round_of(home) > full + 20)  # it goes on in memory
    assert process.poll() is None
    # With room again it stores again, and what it resumes from is where it was.
    inside = ["nsenter", "--mount", "--target", str(process.pid)]
    subprocess.run([*inside, "mount", "-o", f"remount,size={ROOMY}", str(state)], check=True)
    roomy = round_of(home)
    view = Path(f"/proc/{process.pid}/root{state}")
    until(lambda: any(int(path.name.split("-")[1][:8]) > roomy for path in view.glob("ckpt-*.safetensors")))
    assert stop(process) < STOP_S


def test_checkpoint_corrupt(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    first = start(home)
    until(lambda: round_of(home) >= 5, START_S)
    stop(first)
    newest, previous, *_ = checkpoints(home)

    spoil(newest.path)
    second = start(home)
    until(lambda: bool(ask(home)), START_S)
    resumed = int(str(ask(home)["resumed_round"]))
    assert resumed == previous.facts.round
    assert newest.path.with_name(newest.path.name + ".corrupt").exists()
    stop(second)

    for entry in checkpoints(home):
        spoil(entry.path)
    third = start(home)
    assert third.wait(START_S) == NO_CHECKPOINT
    assert "--fresh" in (home / OUTPUT).read_text("utf-8")
    start(home, "--fresh")
    until(lambda: bool(ask(home)), START_S)
    assert ask(home)["resumed_round"] is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_sigterm_and_sigint(tmp_path: Path, start: Start, how: signal.Signals) -> None:
    homes = make_homes(tmp_path, 2, rounds=0)
    leaving, staying = (start(home) for home in homes)
    until(lambda: all(round_of(home) >= 5 for home in homes), START_S)

    assert stop(leaving, how) < STOP_S

    done = [r["round"] for r in read_journal(homes[0] / "state") if r["event"] == "round.done"]
    assert checkpoints(homes[0])[0].facts.round >= int(str(done[-1]))
    reasons = [r["reason"] for r in read_journal(homes[1] / "state") if r["event"] == "peer.down"]
    assert reasons == ["leaving"]  # it has said good-bye
    assert stop(staying) < STOP_S


def test_sigterm_and_sigint_twice(tmp_path: Path, start: Start) -> None:
    """Suspended in between, so that it finds both when it goes on: no orderly end is waited for."""
    (home,) = make_homes(tmp_path, 1, rounds=0)
    process = start(home)
    until(lambda: round_of(home) >= 1, START_S)

    for how in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        process.send_signal(how)

    assert process.wait(STOP_S) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
