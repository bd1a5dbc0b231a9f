"""What the fork server of real daemons does before it forks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys, threading, time
from pathlib import Path
from node_daemon.fork_server import WarmUp
from p2pfl.errors import P2PError

warm_up = WarmUp()
for home in sys.argv[1:]:
    started_s = time.perf_counter()
    try:
        warm_up(Path(home))
    except P2PError as error:
        print(json.dumps({"error": str(error)}))
        continue
    loaded = [name for name in ("torch", "networkx", "zeroconf") if name in sys.modules]
    tasks = Path("/proc/self/task")
    threads = len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()
    print(json.dumps({"loaded": loaded, "threads": threads, "seconds": time.perf_counter() - started_s}))
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _home(folder: Path, name: str, task: str) -> Path:
    home = folder / name
    home.mkdir()
    (home / "p2pnode.toml").write_text(f'[task]\nname = "{task}"\n', "utf-8")
    return home


def _warm_up(*homes: Path) -> list[dict[str, object]]:
    """What a fresh server says after each home."""
    command = [sys.executable, "-c", SCRIPT, *map(str, homes)]
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | ONE_THREAD
    )
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_a_task_is_warmed_up_once_and_brings_only_what_it_needs(
    tmp_path: Path,
) -> None:
    homes = [_home(tmp_path, name, "digits_softmax") for name in ("first", "second")]

    first, wrong, second = _warm_up(homes[0], _home(tmp_path, "wrong", "digitz"), homes[1])

    assert first["loaded"] == ["networkx", "zeroconf"]
    assert first["threads"] == second["threads"] == 1
    assert float(str(second["seconds"])) < float(str(first["seconds"])) / 2
    assert "unknown task 'digitz'" in str(wrong["error"])  # an error of the operator, and the server goes on


@pytest.mark.slow
def test_torch_is_loaded_and_has_trained_without_a_second_thread(tmp_path: Path) -> None:
    (report,) = _warm_up(_home(tmp_path, "torch", "digits"))

    assert report["loaded"] == ["torch", "networkx", "zeroconf"]
    assert report["threads"] == 1
