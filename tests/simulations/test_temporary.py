"""Temporary folders of runs whose every process was killed go at the next run; nobody else's are touched."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simulations.temporary import LOCK_NAME, PREFIX, TemporaryFolder, remove_stale
from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_that_is_used_stays_and_goes_with_its_user(temporary: Path) -> None:
    folder = TemporaryFolder()

    assert remove_stale() == []
    assert folder.path.is_dir()
    folder.remove()
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_a_folder_whose_user_is_gone_is_removed_by_the_next(temporary: Path) -> None:
    left = TemporaryFolder()
    (left.path / "node-0").mkdir()
    os.close(left.lock)  # as the system does for a process that was killed

    folder = TemporaryFolder()

    assert not left.path.exists()
    folder.remove()


def test_a_lock_that_was_passed_on_counts_as_long_as_anybody_has_it() -> None:
    folder = TemporaryFolder()
    inherited = os.dup(folder.lock)
    os.close(folder.lock)

    assert remove_stale() == []
    os.close(inherited)
    assert remove_stale() == [folder.path]


def test_folders_without_a_lock_of_ours_are_not_touched(temporary: Path) -> None:
    (temporary / f"{PREFIX}being-made").mkdir()
    (temporary / "p2pnode-other").mkdir()
    (temporary / "p2pnode-other" / LOCK_NAME).touch()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK_NAME).touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()

    assert remove_stale() == []
    assert len(list(temporary.iterdir())) == 5
    assert elsewhere.is_dir()


SCRIPT = """
import topologies
from simulations.homes import Deployment
from simulations.processes import Processes

with Processes(Deployment(graph=topologies.ring(2), rounds=0, task={"name": "digits_softmax"})) as processes:
    processes.start()
    print(processes._server.pid, *(daemon.pid for daemon in processes.daemons), flush=True)
    processes.wait_done(timeout_s=60)
"""


@pytest.mark.slow
def test_when_every_process_of_a_run_is_killed_the_next_run_cleans_up(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        (left,) = temporary.glob(f"{PREFIX}*")
        assert remove_stale() == []
        for pid in (pids[0], parent.pid):  # the fork server first: it would have removed the folder
            os.kill(pid, signal.SIGKILL)
    until(lambda: all(is_gone(pid) for pid in pids))
    assert left.is_dir()

    assert remove_stale() == [left]
    assert not left.exists()
    shutil.rmtree(left, ignore_errors=True)
