"""``sim run`` and ``sim compare``, as they are typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Ended

from node_daemon.cli import app
from simulations import Result

PNG = b"\x89PNG"
TEXT = """
topology = { name = "ring", nodes = 4 }
task = "digits_softmax"
partition = "iid"
rounds = 2
"""


def type_in(*words: object) -> Ended:
    return CliRunner().invoke(app, ["sim", *map(str, words)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(TEXT)
    return path


def test_a_run_is_kept_drawn_and_put_into_words(file: Path, tmp_path: Path) -> None:
    found = type_in("run", file, "--out", tmp_path / "run", "--plot", tmp_path / "run.png", "--json")

    assert found.exit_code == 0, found.output
    (line,) = found.stdout.splitlines()
    answer = json.loads(line)
    kept = Result.load(tmp_path / "run")
    assert answer["final_accuracy"] == kept.final_accuracy
    assert answer["config"] == kept.config
    assert answer["folder"] == str(tmp_path / "run")
    assert (tmp_path / "run.png").read_bytes().startswith(PNG)
    words = type_in("run", file).stdout
    assert words.startswith("gossip_averaging, ring, digits_softmax: 4 nodes, 2 rounds, event engine\n")
    assert f"{kept.final_accuracy:.3f}" in words


def test_what_would_fail_after_the_run_fails_before_it(file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    file.write_text(TEXT + "nodes = 5\n")  # would be found next

    for words in (["--plot", tmp_path / "run.xyz"], ["--out", tmp_path / "full"]):
        found = type_in("run", file, *words)
        assert found.exit_code == 3
        assert "fix: name" in found.stderr
        assert "nodes = 5" not in found.stderr


def test_finished_runs_are_compared(file: Path, tmp_path: Path) -> None:
    type_in("run", file, "--out", tmp_path / "first")
    file.write_text(TEXT + "seed = 7\n")
    type_in("run", file, "--out", tmp_path / "second")

    found = type_in("compare", tmp_path / "first", tmp_path / "second", "--plot", tmp_path / "both.png")
    answer = json.loads(type_in("compare", tmp_path / "first", tmp_path / "second", "--json").stdout)

    assert found.exit_code == 0, found.output
    heading, first, second, picture = found.stdout.splitlines()
    assert heading.split()[:2] == ["RUN", "NODES"]
    assert first.startswith("first ")
    assert second.endswith("seed=7")
    assert picture == f"picture in {tmp_path / 'both.png'}"
    assert [run["seed"] for run in answer["runs"]] == [0, 7]


def test_a_damaged_run_is_exit_code_5_and_none_at_all_is_3(file: Path, tmp_path: Path) -> None:
    type_in("run", file, "--out", tmp_path / "run")
    models = tmp_path / "run" / "models.safetensors"
    models.write_bytes(models.read_bytes()[:-1])

    found = type_in("compare", tmp_path / "run", "--json")

    assert found.exit_code == json.loads(found.stdout)["error"]["code"] == 5
    assert type_in("compare", tmp_path / "nowhere").exit_code == 3


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DIVERGING = (
    TEXT.replace('"digits_softmax"', '{ name = "digits", step = 1e30, weight_decay = 1.0 }')
    + 'engine = "vectorised"\n'
)


def test_what_is_no_number_is_null_for_programs(file: Path, tmp_path: Path) -> None:
    file.write_text(DIVERGING)
    run = type_in("run", file, "--out", tmp_path / "run", "--json")
    compared = type_in("compare", tmp_path / "run", "--json")

    answer, both = (json.loads(each.stdout, parse_constant=refuse) for each in (run, compared))
    assert answer["consensus_distance"] is None
    assert [each["consensus_distance"] for each in both["runs"]] == [None]


@pytest.mark.slow
def test_what_is_no_number_is_null_in_points_of_a_sweep(file: Path, tmp_path: Path) -> None:
    file.write_text(DIVERGING + "seed = [1, 2]\n")
    found = type_in("run", file, "--out", tmp_path / "runs", "--jobs", 1, "--json")
    answer = json.loads(found.stdout, parse_constant=refuse)
    assert [point["consensus_distance"] for point in answer["points"]] == [None, None]
