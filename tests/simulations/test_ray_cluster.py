"""Sweeps on a Ray cluster, here a local instance: the same results as on this machine, and no point lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.result import Result
from simulations.result_files import POINT_FILE
from simulations.sweeps import Sweep
from tests.simulations.test_sweeps import ENDS_ITSELF, FAST

pytest.importorskip("ray", reason="the extra ray is not installed")
ROOT = Path(__file__).parents[2]


def run_on_ray(file: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Ray changes signal handlers, and leaves threads and sockets behind."""
    command = [sys.executable, "-m", "node_daemon", "sim", "run", str(file), "--out", str(out), "--on", "ray"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(
        [*command, "--jobs", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(file.parent), "RAY_USAGE_STATS_ENABLED": "0"},
    )


@pytest.mark.slow
def test_a_local_ray_instance_gives_the_same_results_and_loses_no_point_by_another(tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text(ENDS_ITSELF)
    file, out = tmp_path / "sweep.toml", tmp_path / "out"
    options = [f"{key} = {json.dumps(value)}" for key, value in FAST.items() if key != "task"]
    names = ["my_tasks:killed", "my_tasks:mistaken", "digits_softmax"]
    file.write_text("\n".join([*options, f"task = {json.dumps(names)}"]))

    ended = run_on_ray(file, out)

    assert ended.returncode == 1, ended.stderr
    killed, mistaken, sound = json.loads(ended.stdout)["points"]
    assert "died unexpectedly" in killed["error"]["what"]
    assert "of the experiment's own code" in mistaken["error"]["what"]
    (_, here), *_ = Sweep(FAST).run(tmp_path / "here", jobs=1)
    there = Result.load(Path(sound["folder"]))
    assert isinstance(here, Result)
    assert there.models.tobytes() == here.models.tobytes()
    assert there.accuracy == here.accuracy
    assert len(list(out.glob(f"*/{POINT_FILE}"))) == 1
