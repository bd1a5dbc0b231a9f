"""What is in ``examples`` runs as its first lines say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations import Result
from simulations.experiment_file import read_table
from simulations.sweeps import Sweep

ROOT = Path(__file__).parents[1]


def run(folder: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.toml")), ids=lambda file: file.name)
def test_every_experiment_file_can_be_read(file: Path) -> None:
    assert Sweep(read_table(file)).points


@pytest.mark.slow
def test_the_sweep_over_topologies_ends_with_a_table_and_a_picture(tmp_path: Path) -> None:
    file = ROOT / "examples" / "topologies.toml"

    words = ("--out", "out/topologies", "--plot", "topologies.png")
    table = run(tmp_path, "-m", "node_daemon", "sim", "run", str(file), *words)
    again = run(tmp_path, "-m", "node_daemon", "sim", "compare", "out/topologies")

    assert table.count("new\n") == 4
    assert len(again.splitlines()) == 5
    assert (tmp_path / "topologies.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_script_over_protocols_leaves_results_that_can_be_compared(tmp_path: Path) -> None:
    output = run(tmp_path, str(ROOT / "examples" / "protocols.py"))

    assert output.count("final accuracy") == 2
    for protocol in ("gossip_averaging", "cyclic_pass"):
        assert Result.load(tmp_path / "out" / protocol).final_accuracy > 0.7
