"""A result on the disk comes back exactly, or says what is wrong; and shows itself."""

import json
from dataclasses import asdict, replace
from math import isnan, nan
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from p2pfl.errors import ConfigError, StateError
from p2pfl.versions import versions
from simulations import Experiment, Result, result_files
from simulations.result_files import check_writable
from simulations.result_rows import Evaluated, RoundFigures

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def result() -> Result:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")])
    return Experiment(
        topology=graph, task="digits_softmax", partition="iid", rounds=3, seed=4, network={"loss": 0.1}
    ).run()


def assert_equal(one: Result, other: Result) -> None:
    assert one.models.dtype == other.models.dtype
    assert one.models.tobytes() == other.models.tobytes()
    assert (one.accuracy, one.final, one.by_round) == (other.accuracy, other.final, other.by_round)
    assert (one.config, one.versions, one.figures) == (other.config, other.versions, other.figures)
    assert one.graph is not None
    assert other.graph is not None
    numbered = nx.convert_node_labels_to_integers(one.graph)
    assert nx.utils.graphs_equal(numbered, other.graph)
    assert one.summary() == other.summary()


@pytest.mark.parametrize(("has_parquet", "suffix"), [(True, "parquet"), (False, "csv")])
def test_what_is_saved_is_loaded_exactly(
    has_parquet: bool, suffix: str, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_files, "has_parquet", lambda: has_parquet)

    result.save(tmp_path / "new" / "run")

    assert_equal(result, Result.load(tmp_path / "new" / "run"))
    assert (tmp_path / "new/run" / f"accuracy.{suffix}").is_file()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]


@pytest.mark.parametrize("has_parquet", [True, False])
def test_nothing_and_not_a_number_stay_apart(
    has_parquet: bool, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_files, "has_parquet", lambda: has_parquet)
    rows = (Evaluated(0, 1, None, 0.1, 1 / 3, nan), Evaluated(1, 1, 1e-9, 1.0, 0.0, 1e300))
    figures = (RoundFigures(1, None, 0.0, None), RoundFigures(2, 7.0, 1e-17, 2**60))
    replace(result, accuracy=rows, by_round=figures, graph=None).save(tmp_path / "run")

    loaded = Result.load(tmp_path / "run")

    first, second = loaded.accuracy
    assert first.time_s is None
    assert isnan(first.loss)
    assert replace(first, loss=0) == replace(rows[0], loss=0)
    assert second == rows[1]
    assert loaded.by_round == figures
    assert loaded.graph is None


def test_a_result_names_its_seed_its_whole_config_and_the_versions(result: Result) -> None:
    assert result.seed == result.config["seed"] == 4
    assert result.config["network"] == {"loss": 0.1}
    assert result.config["engine"] == "event"
    assert result.versions == versions()
    again = Experiment.from_table(result.config).run()
    assert again.models.tobytes() == result.models.tobytes()


@pytest.mark.parametrize("name", ["accuracy.parquet", "models.safetensors", "result.json"])
def test_a_truncated_result_is_refused_and_the_file_named(name: str, result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(StateError) as caught:
        Result.load(tmp_path / "run")
    assert caught.value.where == str(path)
    assert caught.value.exit_code == 5


def test_a_changed_or_missing_part_is_found(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    path = tmp_path / "run/models.safetensors"
    content = path.read_bytes()

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StateError, match="has been changed"):
        Result.load(tmp_path / "run")
    path.unlink()
    with pytest.raises(StateError, match="missing"):
        Result.load(tmp_path / "run")


def test_a_result_that_lacks_a_fact_or_is_of_another_form_is_refused(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    facts = json.loads((tmp_path / "result.json").read_text())

    (tmp_path / "result.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "seed"}))
    with pytest.raises(StateError, match="lacks something"):
        Result.load(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ConfigError, match="no result"):
        Result.load(tmp_path)


def test_a_folder_of_somebody_else_is_not_read_and_not_written(result: Result, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")

    with pytest.raises(ConfigError, match="no result of an experiment"):
        Result.load(tmp_path)
    with pytest.raises(ConfigError, match="no result of an experiment"):
        Result.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds something else"):
        result.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_result_takes_the_place_of_an_older_one(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    (tmp_path / "run" / "point.json").write_text("{}")  # of a sweep

    replace(result, seed=5).save(tmp_path / "run")

    assert Result.load(tmp_path / "run").seed == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert not (tmp_path / "run/point.json").exists()


@pytest.mark.parametrize("name", ["notes.txt", "seed=1-0123456789ab/result.json"])
def test_a_result_beside_something_else_is_not_replaced(name: str, result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")

    with pytest.raises(ConfigError, match="holds something else") as caught:
        result.save(tmp_path)

    assert caught.value.facts == (f"also there: {name.partition('/')[0]}",)
    assert (tmp_path / name).read_text() == "mine"


def test_a_result_goes_to_where_a_link_points(result: Result, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")

    for seed in (6, 7):
        replace(result, seed=seed).save(tmp_path / "run")

    assert Result.load(tmp_path / "disk").seed == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "run"]
    assert (tmp_path / "run").is_symlink()


def test_the_folder_one_is_in_is_not_replaced(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the folder you are in"):
        result.save(".")
    result.save("run")
    assert Result.load(tmp_path / "run").seed == result.seed


def test_a_folder_that_cannot_be_written_is_found_before_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    check_writable(tmp_path / "new" / "run")
    with pytest.raises(StateError, match="nothing can be written"):
        check_writable(tmp_path / ("long" * 60))
    with pytest.raises((ConfigError, StateError)):
        check_writable(tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match="no folder"):
        check_writable(tmp_path / "file")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_older_result(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result.save(tmp_path / "run")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StateError, match="No space left"):
        replace(result, seed=5).save(tmp_path / "run")
    assert Result.load(tmp_path / "run").seed == 4
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_frame_has_the_rows(result: Result) -> None:
    frame = result.to_pandas()

    assert frame.to_dict("records") == result.to_records()  # type: ignore[attr-defined]
    assert len(result.to_records()) == 9


def test_it_is_drawn_with_its_spread_and_its_graph(result: Result, tmp_path: Path) -> None:
    figure = result.plot(tmp_path / "run.png")

    titles = [axes.get_title() for axes in figure.axes]  # type: ignore[attr-defined]
    assert titles == ["accuracy", "consensus distance", "sent", "3 nodes, 4 edges"]
    (line,) = figure.axes[0].lines  # type: ignore[attr-defined]
    means = [np.mean([row.accuracy for row in result.accuracy if row.round == done]) for done in (1, 2, 3)]
    assert line.get_ydata() == pytest.approx(means)
    assert len(figure.axes[0].collections) == 2  # type: ignore[attr-defined]
    assert (tmp_path / "run.png").read_bytes().startswith(PNG)


def test_what_was_not_measured_on_the_way_is_drawn_from_the_end(result: Result, tmp_path: Path) -> None:
    bare = replace(result, accuracy=(), by_round=(), graph=nx.path_graph(600))

    figure = bare.plot()

    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes[:3]] == [1, 1, 1]  # type: ignore[attr-defined]
    assert figure.axes[3].texts[0].get_text() == "3 nodes, 599 edges"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"), ("plot", "matplotlib")])
def test_without_its_package_a_method_names_the_extra(
    method: str, package: str, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: str) -> object:
        missing = ModuleNotFoundError(f"No module named {package!r}", name=package)
        raise ConfigError(f"{path!r} needs the package {package!r}") from missing

    monkeypatch.setattr("p2pfl.registry.load", load)
    with pytest.raises(ConfigError, match=package) as caught:
        getattr(result, method)()
    assert caught.value.fix == "pip install 'p2pnode[experiments]'"
    assert result.to_records()[0] == asdict(result.accuracy[0])


def test_it_shows_itself_in_words_and_as_html(result: Result) -> None:
    words, html = repr(result), result._repr_html_()

    for figure in (f"{result.final_accuracy:.3f}", "seed", "4", "own graph", "3 rounds"):
        assert figure in words
        assert figure in html
    assert html.startswith("<table")
    assert "<b>" not in replace(result, config={"task": "<b>"})._repr_html_()
