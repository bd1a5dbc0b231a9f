"""``checkpoint import`` and ``verify``: models from elsewhere, judged before they become a node's own."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from node_daemon import checkpoint as checkpoints
from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.cli import app
from node_daemon.config import load_config
from node_daemon.files import locked
from node_daemon.plan import plan_of
from p2pfl.model import Checkpoint, Model, Snapshot
from tests.node_daemon.conftest import write_private

PARAMETERS = 650
CONFIG = "[topology]\nname = 'ring'\n[network]\nport = 0\nmdns = false\nmin_peers = 1\n"
CONFIG += "[task]\nname = 'digits_softmax'\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    made = tmp_path / "home"
    write_private(made / "p2pnode.toml", CONFIG)
    return made


def run(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["checkpoint", *words, "--home", str(home)])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.stdout + result.stderr


def store(home: Path, *rounds: int, plan: bytes | None = None) -> list[Path]:
    writer = CheckpointWriter(home / "state", plan=plan or plan_of(load_config(home=home).settings).hash)
    return [writer.write(at_round(number)) for number in rounds]


def at_round(number: int, parameters: int = PARAMETERS) -> Checkpoint:
    model = Model(np.full(parameters, number, np.float32), age=number)
    snapshot = {"protocol.round": number, "protocol.model.age": number, "protocol.model.weight": 1.0}
    arrays = {"protocol.model": model.params}
    return Checkpoint(model, {"momentum": np.array([1.0])}, Snapshot(snapshot, arrays), number)


def newest(home: Path) -> Checkpoint:
    found = checkpoints.load_newest(home / "state", plan=plan_of(load_config(home=home).settings).hash)
    assert found is not None
    return found


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"weight": np.full((64, 10), 2, np.float32), "bias": np.arange(10, dtype=np.float32)}, path)
    return path


def test_weights_alone_become_a_checkpoint_of_round_0(home: Path, weights: Path) -> None:
    code, text = run(home, "import", str(weights), "--json")

    assert code == 0, text
    answer, found = json.loads(text), newest(home)
    assert (answer["round"], answer["age"], answer["parameters"]) == (0, 0, PARAMETERS)
    assert found.model.params[-10:].tolist() == list(range(10))
    assert found.snapshot.arrays["protocol.model"].tobytes() == found.model.params.tobytes()
    assert found.snapshot.values["protocol.round"] == 0
    assert "node.members" not in found.snapshot.values  # it waits for company as at a first start


def test_what_was_exported_comes_back_bit_for_bit_at_the_stated_round(home: Path, tmp_path: Path) -> None:
    store(home, 7)
    before, file = newest(home), tmp_path / "out.safetensors"
    assert run(home, "export", str(file))[0] == 0
    assert load_file(file)["bias"].tolist() == [7] * 10

    assert run(home, "import", str(file), "--round", "9")[0] == 0

    after = newest(home)
    assert after.model.params.tobytes() == before.model.params.tobytes()
    assert (after.round, after.model.age, after.snapshot.values["protocol.round"]) == (9, 9, 9)


def test_a_checkpoint_of_this_plan_keeps_its_round_and_what_the_learner_kept(
    home: Path, tmp_path: Path
) -> None:
    (stored,) = store(home, 7)
    copy = tmp_path / stored.name
    copy.write_bytes(stored.read_bytes())
    stored.unlink()

    assert run(home, "import", str(copy))[0] == 0

    found = newest(home)
    assert (found.round, found.model.age, found.state["momentum"].tolist()) == (7, 7, [1.0])


def test_of_a_checkpoint_of_another_plan_only_the_model_is_taken(home: Path, tmp_path: Path) -> None:
    elsewhere = CheckpointWriter(tmp_path / "other", plan=b"other").write(at_round(7))

    assert run(home, "import", str(elsewhere))[0] == 0

    found = newest(home)
    assert (found.round, found.model.age, dict(found.state)) == (0, 0, {})
    assert found.model.params[0] == 7


def test_a_later_state_is_replaced_only_with_consent_and_is_kept_aside(home: Path, weights: Path) -> None:
    store(home, 40)

    code, text = run(home, "import", str(weights))
    assert code == 2
    assert "the node has stored round 40" in text
    assert "--yes" in text
    assert newest(home).round == 40

    code, text = run(home, "import", str(weights), "--yes")
    assert code == 0, text
    assert newest(home).round == 0
    assert len(list((home / "state").glob("ckpt-00000040.*.old"))) == 1


def test_an_earlier_state_needs_no_consent(home: Path, weights: Path) -> None:
    store(home, 3)

    assert run(home, "import", str(weights), "--round", "4")[0] == 0


def test_while_the_node_runs_nothing_is_imported(home: Path, weights: Path) -> None:
    with locked(home / "state"):
        code, text = run(home, "import", str(weights))

    assert code == 1
    assert "is in use" in text
    assert "fix: p2pnode stop" in text


@pytest.mark.parametrize(
    ("tensors", "code", "words"),
    [
        ({"weight": np.zeros((64, 10), np.float32)}, 3, "tensor 'bias' is missing"),
        ({"weight": np.zeros((10, 64), np.float32), "bias": np.zeros(10, np.float32)}, 3, "has shape"),
        (
            {"weight": np.full((64, 10), np.nan, np.float32), "bias": np.zeros(10, np.float32)},
            5,
            "not all finite",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    home: Path, tmp_path: Path, tensors: dict[str, np.ndarray], code: int, words: str
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(tensors, path)

    found, text = run(home, "import", str(path))

    assert found == code
    assert words in text
    assert not checkpoints.list_checkpoints(home / "state")


def test_a_checkpoint_whose_hash_is_wrong_or_whose_model_is_another_is_refused(
    home: Path, tmp_path: Path
) -> None:
    path = CheckpointWriter(tmp_path / "other").write(at_round(7, parameters=3))
    assert run(home, "import", str(path))[0] == 3

    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    code, text = run(home, "import", str(path))
    assert code == 5
    assert "not what its name says" in text


def test_a_protocol_without_rounds_of_its_own_begins_at_0(home: Path, weights: Path) -> None:
    write_private(home / "p2pnode.toml", CONFIG + "[protocol]\nname = 'cyclic_pass'\n")

    code, text = run(home, "import", str(weights), "--round", "4")
    assert code == 3
    assert "cannot begin at round 4" in text
    assert run(home, "import", str(weights))[0] == 0
    assert newest(home).model.params[0] == 2


def test_verify_names_every_damaged_checkpoint_and_ends_with_5(home: Path) -> None:
    first, second = store(home, 1, 2)
    code, text = run(home, "verify")
    assert (code, text.count("ok")) == (0, 2)

    second.write_bytes(second.read_bytes()[:-1] + b"\x01")
    code, text = run(home, "verify")
    assert code == 5
    assert "1 of 2 checkpoints are damaged" in text
    assert "intact: round 1" in text
    first.write_bytes(b"")
    code, text = run(home, "verify", "--json")
    assert code == 5
    assert json.loads(text)["error"]["code"] == 5
    assert len(json.loads(text)["error"]["facts"]) == 2


def test_verify_tells_what_a_start_has_set_aside(home: Path) -> None:
    (path,) = store(home, 1)
    path.rename(path.with_name(path.name + ".corrupt"))

    code, text = run(home, "verify")

    assert code == 5
    assert "no checkpoint is intact" in text
    assert "checkpoint import FILE" in text
