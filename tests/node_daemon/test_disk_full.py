"""A disk that fails under a running daemon: it goes on in memory, says so, and recovers."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_daemon import queries
from node_daemon.paths import home_paths
from tests.awaiting import until
from tests.node_daemon.conftest import write_private
from tests.node_daemon.test_daemon import Start, ask, start

__all__ = ["start"]  # the fixture

SMALL = "4m"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose state is on a small file system of its own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs takes root")
    made = tmp_path / "home"
    (made / "state").mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", str(made / "state")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    write_private(made / "trust.toml", 'mode = "open"\n')
    write_private(
        made / "p2pnode.toml",
        "[network]\nport = 0\nmdns = false\nmin_peers = 1\n[protocol]\nrounds = 0\n"
        "[task]\nname = 'digits_softmax'\nlocal_epochs = 1\n[data]\npart = 0\nparts = 5\n",
    )
    yield made
    subprocess.run(["umount", "--lazy", str(made / "state")], check=True)


def rounds(home: Path) -> int:
    return int(str(ask(home).get("round", 0)))


def fill(home: Path) -> Path:
    """Take all the space that there is, also what the pruning of checkpoints gives back."""
    ballast = home / "state" / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            for size in (1 << 20, 1 << 16, 1 << 12):
                while file.write(bytes(size)) == size:
                    pass
        except OSError:
            return ballast
    return ballast


def test_a_daemon_on_a_full_disk_goes_on_degraded_and_recovers(home: Path, start: Start) -> None:
    process = start(home)
    until(lambda: rounds(home) >= 2, 30)
    assert ask(home)["degraded"] == ""

    ballast = fill(home)
    until(lambda: fill(home).exists() and ask(home).get("degraded") == "disk full")
    before = rounds(home)
    until(lambda: rounds(home) > before + 2)
    assert "degraded: disk full" in queries.status(home_paths(home)).text.splitlines()

    ballast.unlink()
    until(lambda: ask(home).get("degraded") == "")
    assert "\ndegraded" not in queries.status(home_paths(home)).text
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_strict_daemon_ends_when_the_disk_is_full(home: Path, start: Start) -> None:
    process = start(home, "--strict-disk")
    until(lambda: rounds(home) >= 2, 30)

    def is_over() -> bool:
        fill(home)
        return process.poll() is not None

    until(is_over)
    _, text = process.communicate(timeout=20)
    assert process.returncode == 5
    assert "error: a checkpoint cannot be written: disk full" in text
    assert "Traceback" not in text
