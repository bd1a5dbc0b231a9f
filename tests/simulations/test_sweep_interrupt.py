"""Ctrl-C in a sweep: the finished points stay, all processes end, and the next run goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from simulations.result_files import POINT_FILE
from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]
SWEEP = """
topology = "ring"
nodes = 8
task = "digits_softmax"
partition = "iid"
rounds = [1, 2, 4000, 5000, 6000]
evaluate_every = 0
"""


def started(file: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "node_daemon", "sim", "run", str(file), "--out", str(out), "--json"]
    return subprocess.Popen(
        [*command, "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        process_group=0,
    )


def kept(out: Path) -> list[str]:
    return sorted(path.parent.name for path in out.glob(f"*/{POINT_FILE}"))


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_points_and_the_next_run_goes_on(tmp_path: Path) -> None:
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    file.write_text(SWEEP)
    with started(file, out) as sweep:
        until(lambda: len(kept(out)) == 2, deadline_s=60)
        children = psutil.Process(sweep.pid).children(recursive=True)
        os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
        output, said = sweep.communicate(timeout=30)

    assert sweep.returncode == 130
    assert json.loads(output)["error"]["code"] == 130
    assert f"stopped: 2 of 5 points are in {out}" in said
    assert f"p2pnode sim run {file} --out {out} goes on" in said
    assert len(children) == 2
    assert all(is_gone(child.pid) for child in children)
    assert len(kept(out)) == 2
    assert not (out / ".partial").exists()

    file.write_text(SWEEP.replace("4000, 5000, 6000", "3"))
    with started(file, out) as again:
        output, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert [point["is_cached"] for point in json.loads(output)["points"]] == [True, True, False]


@pytest.mark.slow
def test_the_processes_of_a_sweep_end_with_it_also_when_it_is_killed(tmp_path: Path) -> None:
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    file.write_text(SWEEP)
    with started(file, out) as sweep:
        until(lambda: len(kept(out)) == 2, deadline_s=60)
        children = psutil.Process(sweep.pid).children(recursive=True)
        sweep.kill()
        sweep.communicate(timeout=30)

    assert len(children) == 2
    until(lambda: all(is_gone(child.pid) for child in children), deadline_s=20)


@pytest.mark.slow
def test_a_process_that_is_killed_is_a_failed_point_and_no_hang(tmp_path: Path) -> None:
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    file.write_text(SWEEP.replace("4000, 5000, 6000", "100_000"))
    with started(file, out) as sweep:
        until(lambda: len(kept(out)) == 2, deadline_s=60)
        for child in psutil.Process(sweep.pid).children():
            child.kill()
        output, said = sweep.communicate(timeout=60)

    last = json.loads(output)["points"][-1]
    assert sweep.returncode == 1
    assert "killed by SIGKILL" in last["error"]["what"]
    assert "error: rounds=100000: its process was killed by SIGKILL" in said
    assert len(kept(out)) == 2
