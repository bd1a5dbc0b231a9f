"""Sweeps: each point kept on its own, found again, and none lost by another's failure."""

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

import networkx as nx
import numpy as np
import pytest

from p2pfl.errors import ConfigError, P2PError, StateError
from simulations.experiment import Experiment
from simulations.grid import Point, points
from simulations.point_hash import named_files, point_hash
from simulations.point_store import PointStore
from simulations.result import Result
from simulations.result_files import FACTS, POINT_FILE, Stored, write_stored
from simulations.sweep_command import run_file
from simulations.sweeps import Outcome, Sweep

FAST: dict[str, object] = {
    "topology": "ring",
    "nodes": 3,
    "task": "digits_softmax",
    "partition": "iid",
    "rounds": 1,
    "evaluate_every": 0,
}
FIGURES = {
    "final_accuracy": 0.5,
    "consensus_distance": 0.0,
    "bytes_sent": 8,
    "messages_sent": 2,
    "virtual_seconds": None,
}
STORED = Stored({}, {}, {"models": np.zeros((3, 4), np.float32)})
ENDS_ITSELF = """
import os, signal
from p2pfl.learning.numpy_learner import digits_softmax

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def mistaken():
    raise ZeroDivisionError("of the experiment's own code")

def sound():
    return digits_softmax()
"""


def point(**table: object) -> Point:
    (found,) = points(table)
    return found


def kept(store: PointStore, found: Point) -> Path:
    write_stored(store.partial(found), STORED)
    return store.keep(found, FIGURES)


def test_the_hash_of_a_point_does_not_depend_on_the_order_of_keys() -> None:
    assert point_hash({"seed": 0, "network": {"loss": 0.1, "jitter_s": 1.0}}) == point_hash(
        {"network": {"jitter_s": 1.0, "loss": 0.1}, "seed": 0}
    )
    assert point_hash({"seed": 0}) != point_hash({"seed": 1})


def test_the_hash_of_a_point_changes_with_the_files_that_it_names(tmp_path: Path) -> None:
    trace = tmp_path / "seconds.csv"
    trace.write_text("node,seconds\n0,1\n")
    table = point(compute={"trace": str(trace)}, task={"name": "idx", "path": str(tmp_path)}).table
    before = point_hash(table)

    trace.write_text("node,seconds\n0,2\n")

    assert set(named_files(table)) == {str(trace), str(tmp_path)}
    assert point_hash(table) != before


def test_the_hash_of_a_point_changes_with_the_module_behind_an_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "my_own_lab.py"
    module.write_text("walk = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    table = point(protocol={"name": "my_own_lab:walk"}).table
    before = point_hash(table)

    module.write_text("walk = 22\n")

    assert point_hash(table) != before


def test_a_kept_point_is_found_again_also_by_another_label(tmp_path: Path) -> None:
    first, second = points({"seed": [0, 1]})
    with PointStore(tmp_path) as store:
        folder = kept(store, first)
        assert store.find(second) is None
        assert store.find(Point("another", first.table)) == (folder, FIGURES)
    assert folder.name.startswith("seed=0-")


@pytest.mark.parametrize("name", [POINT_FILE, FACTS, "models.safetensors"])
@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_point_that_is_not_whole_is_computed_again(tmp_path: Path, name: str, content: str | None) -> None:
    found = point(seed=0)
    with PointStore(tmp_path) as store:
        damaged = kept(store, found) / name
        damaged.unlink()
        if content is not None:
            damaged.write_text(content)
        assert store.find(found) is None
        kept(store, found)
        assert store.find(found) is not None


def test_a_point_without_figures_is_computed_again(tmp_path: Path) -> None:
    found = point(seed=0)
    with PointStore(tmp_path) as store:
        path = kept(store, found) / POINT_FILE
        content = json.loads(path.read_text())
        for figures in (None, {}, {**FIGURES, "bytes_sent": "8"}):
            path.write_text(json.dumps({**content, "figures": figures}))
            assert store.find(found) is None


def test_a_result_that_has_been_damaged_since_is_an_error_of_its_own(tmp_path: Path) -> None:
    assert isinstance(Outcome(point(seed=0), folder=tmp_path).load(), P2PError)


def test_a_point_that_is_computed_again_does_not_take_the_notes_in_its_folder_away(tmp_path: Path) -> None:
    found = point(seed=0)
    with PointStore(tmp_path) as store:
        (kept(store, found) / "notes.txt").write_text("mine")
        folder = kept(store, found)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / POINT_FILE).is_file()


def test_a_sweep_does_not_go_into_the_folder_of_a_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ConfigError, match="result of a single experiment"):
        PointStore(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_two_sweeps_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with PointStore(tmp_path), pytest.raises(ConfigError, match="another sweep is at work there"):
        PointStore(tmp_path).__enter__()
    with PointStore(tmp_path):
        pass  # the first one has gone


def test_graphs_of_networkx_are_swept_as_plain_data() -> None:
    graphs = [nx.path_graph(3), nx.cycle_graph(4)]
    found = Sweep(topology=graphs, seed=0).points
    assert found[1].table["topology"] == {
        "nodes": 4,
        "edges": [[0, 1], [0, 3], [1, 2], [2, 3]],
        "directed": False,
    }
    assert [each.label for each in found] == ["topology=#1", "topology=#2"]


@pytest.mark.parametrize(
    ("options", "where", "words"),
    [
        ({"on": "moon"}, "on", "unknown place 'moon'; known: cores, ray"),
        ({"jobs": 0}, "jobs", "0 jobs"),
        ({"address": "10.0.0.1:6379"}, "address", "Ray"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    tmp_path: Path, options: dict[str, object], where: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Sweep(FAST).run(tmp_path / "out", **options)  # type: ignore[arg-type]
    assert caught.value.where == where
    assert words in caught.value.what
    assert not (tmp_path / "out").exists()


def test_without_ray_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        Sweep(FAST).run(tmp_path, on="ray")
    assert caught.value.fix == "pip install 'p2pnode[ray]'"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "letters"}, "holds something else"),
        ({"out": "letters/dear.txt/run"}, "Not a directory"),
        ({"out": "."}, "the folder you are in"),
        ({"plot": "nowhere/run.png"}, "no such folder"),
        ({"plot": "letters.png"}, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_found_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Experiment, "run", lambda _: pytest.fail("trained"))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters.png").mkdir()
    (tmp_path / "letters/dear.txt").write_text("dear")
    (tmp_path / "run.toml").write_text('task = "digits_softmax"\n')

    with pytest.raises((ConfigError, StateError), match=words):
        run_file("run.toml", **{key: Path(value) for key, value in options.items()})  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_points_of_a_sweep_have_the_results_of_their_experiments_and_are_kept(tmp_path: Path) -> None:
    sweep = Sweep(FAST, seed=[0, 1], rounds=2)
    found = sweep.run(tmp_path, jobs=2)

    results = [result for _, result in found if isinstance(result, Result)]
    alone = Result.load(sweep.outcomes(tmp_path)[1].folder or tmp_path)
    assert [result.seed for result in results] == [0, 1]
    assert not np.array_equal(results[0].models, results[1].models)
    assert np.array_equal(results[1].models, alone.models)
    assert all(outcome.is_cached for outcome in Sweep(FAST, seed=[1, 0], rounds=2).outcomes(tmp_path))
    assert not (tmp_path / ".partial").exists()


@pytest.mark.slow
def test_an_error_in_any_point_is_found_before_one_is_trained(tmp_path: Path) -> None:
    sweep = Sweep(FAST, seed=[0, 1], partition=["iid", {"name": "dirichlet", "beta": 2}])
    with pytest.raises(ConfigError) as caught:
        sweep.run(tmp_path, jobs=2)

    assert caught.value.where == "partition"
    assert "'beta'" in caught.value.what
    assert [fact.partition(": ")[2].partition(":")[0] for fact in caught.value.facts] == [
        "partition=dirichlet seed=0 beta=2",
        "partition=dirichlet seed=1 beta=2",
    ]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_points_whose_process_ends_do_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_tasks.py").write_text(ENDS_ITSELF)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["my_tasks:killed", "my_tasks:sound", "my_tasks:mistaken", "digits_softmax"]

    (_, killed), (_, sound), (_, mistaken), (_, built_in) = Sweep(FAST, task=names).run(
        tmp_path / "out", jobs=2
    )

    assert isinstance(killed, P2PError)
    assert "killed by SIGKILL" in killed.what
    assert isinstance(mistaken, P2PError)
    assert mistaken.what == "ZeroDivisionError: of the experiment's own code"
    (told,) = (tmp_path / "out").glob("task=my_tasks_mistaken-*.error.txt")
    assert str(told) in mistaken.facts[0]
    assert "Traceback" in told.read_text()
    assert isinstance(sound, Result)
    assert isinstance(built_in, Result)
    assert np.array_equal(sound.models, built_in.models)


@pytest.mark.slow
def test_the_command_says_what_came_of_each_point_and_fails_if_one_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_tasks.py").write_text(ENDS_ITSELF)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "sweep.toml"
    options = [f"{key} = {json.dumps(value)}" for key, value in FAST.items() if key != "task"]
    file.write_text("\n".join([*options, 'task = ["my_tasks:mistaken", "my_tasks:sound"]']))

    report = run_file(file, out=tmp_path / "out", jobs=1)

    failed, sound = cast(list[dict[str, Any]], report.data["points"])
    assert report.exit_code == 1
    assert failed["error"]["code"] == 1
    assert sound["final_accuracy"] > 0.1
    assert "task=my_tasks:sound" in report.text
    assert "error: task=my_tasks:mistaken: ZeroDivisionError" in capsys.readouterr().err
    assert os.path.isdir(sound["folder"])
