"""Finished runs side by side."""

from pathlib import Path

import pytest

from p2pfl.errors import ConfigError, StateError
from simulations import Experiment
from simulations.compare import compare_folders
from simulations.curves import accuracy_curve
from simulations.plots import plot_runs
from simulations.result_rows import Evaluated

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    for name in ("ring", "line"):
        run = Experiment(topology=name, nodes=4, task="digits_softmax", partition="iid", rounds=2).run()
        run.save(place / name)
    return place


def test_runs_are_compared_by_their_figures_and_by_what_sets_them_apart(folder: Path, tmp_path: Path) -> None:
    found = compare_folders([folder / "ring", folder / "line"], plot=tmp_path / "both.svg")

    assert [row[0] for row in found.rows] == ["ring", "line"]
    assert [row[-1] for row in found.rows] == ["topology=ring", "topology=line"]
    assert all(len(row) == len(found.columns) for row in found.rows)
    runs = found.data["runs"]
    assert isinstance(runs, list)
    assert [run["folder"] for run in runs] == [str(folder / "ring"), str(folder / "line")]
    assert [run["bytes_sent"] for run in runs] == [2 * 8 * 2600, 2 * 6 * 2600]
    assert "topology=line" in (tmp_path / "both.svg").read_text()


def test_a_folder_of_folders_stands_for_all_in_it(folder: Path) -> None:
    assert [row[0] for row in compare_folders([folder]).rows] == ["line", "ring"]


def test_the_same_run_twice_has_no_difference(folder: Path) -> None:
    assert [row[-1] for row in compare_folders([folder / "ring"] * 2).rows] == ["", ""]


def test_what_is_no_run_or_no_picture_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no result") as caught:
        compare_folders([folder, tmp_path])
    assert caught.value.where == str(tmp_path)
    with pytest.raises(ConfigError, match="cannot draw"):
        compare_folders([folder], plot=tmp_path / "both.txt")
    with pytest.raises(ConfigError, match="no runs"):
        plot_runs([])
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(StateError, match="not JSON"):
        compare_folders([tmp_path])


def test_a_curve_has_the_mean_and_the_spread_over_nodes() -> None:
    rows = [
        Evaluated(node, done, None, node / 10 + done / 100, 0, 0) for done in (5, 1) for node in range(11)
    ]

    curve = accuracy_curve(rows)

    assert curve.rounds.tolist() == [1, 5]
    assert curve.mean == pytest.approx([0.51, 0.55])
    assert curve.inner.T.ravel() == pytest.approx([0.11, 0.91, 0.15, 0.95])
    assert curve.ends.T.ravel() == pytest.approx([0.01, 1.01, 0.05, 1.05])
    assert accuracy_curve([]).mean.size == 0
