"""What is wrong with an experiment is found before any training, in Python and by the command alike."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from p2pfl.errors import ConfigError
from p2pfl.learning.numpy_learner import NumpyLearner
from p2pfl.learning.torch_learner import TorchLearner
from simulations import Experiment
from simulations.experiment_file import read_table
from tests.p2pfl.data.small_files import options_of

RING = "topology = { name = 'ring', nodes = 4 }\n"


def unknown_option(_: Path) -> str:
    return RING + "protocol = { name = 'push_sum', mixing_ruonds = 3 }"


def impossible_partition(_: Path) -> str:
    return "topology = { name = 'ring', nodes = 1500 }\ntask = 'digits_softmax'\npartition = 'iid'"


def disconnected_graph(_: Path) -> str:
    return "topology = { nodes = 4, edges = [[0, 1], [2, 3]] }"


def truncated_file(folder: Path) -> str:
    options = options_of(folder)["idx"]
    file = folder / "idx" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-100])
    given = ", ".join(f"{key} = {json.dumps(value, default=str)}" for key, value in options.items())
    return RING + f"task = {{ name = 'idx', {given} }}"


CASES = [
    pytest.param(unknown_option, "protocol", "unknown option of protocol 'push_sum': 'mixing_ruonds'",
                 "mixing_rounds?"),
    pytest.param(impossible_partition, "partition", "1500", "at most 1442 parts"),
    pytest.param(disconnected_graph, "topology", "disconnected: 2 parts", "more edges"),
    pytest.param(truncated_file, "task", "expected 19200 bytes", ""),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _must_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> None:
        raise AssertionError("something was trained")

    for learner in (NumpyLearner, TorchLearner):
        monkeypatch.setattr(learner, "train", train)


@pytest.mark.parametrize(("text_of", "key", "what", "fix"), CASES)
def test_it_is_found_before_any_training_with_its_key_and_what_would_work(
    text_of: Callable[[Path], str], key: str, what: str, fix: str, tmp_path: Path
) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(text_of(tmp_path))

    with pytest.raises(ConfigError) as caught:
        Experiment.from_table(read_table(file)).run()
    result = CliRunner().invoke(app, ["sim", "run", str(file), "--json"])
    in_words = CliRunner().invoke(app, ["sim", "run", str(file)])

    error = json.loads(result.stdout)["error"]
    assert result.exit_code == in_words.exit_code == error["code"] == 3
    assert error["what"] == caught.value.what
    assert error["where"] == f"{file}: {caught.value.where}"
    assert what in error["what"]
    assert key in error["where"] or f"in {key}" in error["facts"]
    assert fix in error["fix"]
    assert in_words.stderr.startswith(f"error: {error['what']} ({error['where']})\n")
