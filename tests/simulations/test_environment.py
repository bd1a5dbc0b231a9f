"""Own code is found wherever an experiment runs."""

import sys
from pathlib import Path

import pytest

from p2pfl.errors import ConfigError
from simulations.environment import modules_beside
from simulations.sweep_command import run_file

OWN_TASK = """
from p2pfl.learning.numpy_learner import digits_softmax

def task():
    return digits_softmax()
"""


def written(folder: Path, task: str, **options: object) -> Path:
    lines = [
        f"{key} = {value!r}" for key, value in {"nodes": 2, "rounds": 1, "task": task, **options}.items()
    ]
    file = folder / "experiment.toml"
    file.write_text("\n".join(lines), "utf-8")
    return file


def test_daemons_find_a_module_beside_the_experiments_file(tmp_path: Path) -> None:
    (tmp_path / "own_of_daemons.py").write_text(OWN_TASK, "utf-8")
    before = list(sys.path)

    report = run_file(written(tmp_path, "own_of_daemons:task", engine="processes"))

    assert report.exit_code == 0
    assert sys.path == before


@pytest.mark.slow
def test_the_processes_of_a_sweep_find_a_module_beside_the_experiments_file(tmp_path: Path) -> None:
    (tmp_path / "own_of_sweep.py").write_text(OWN_TASK, "utf-8")
    file = written(tmp_path, "own_of_sweep:task", seed=[0, 1])

    assert run_file(file, out=tmp_path / "out", jobs=1).exit_code == 0


def test_a_module_that_is_nowhere_is_named_with_the_places_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no module named 'nowhere_at_all'") as caught:
        run_file(written(tmp_path, "nowhere_at_all:task"))

    assert "beside the experiment" in caught.value.fix


def test_a_module_beside_the_file_hides_none_of_the_others(tmp_path: Path) -> None:
    with modules_beside(tmp_path / "experiment.toml"):
        assert sys.path[-1] == str(tmp_path)
