"""The folder of checkpoints: newest intact one wins, damage is seen, nothing begins from zero in silence."""

import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from node_daemon import checkpoint as checkpoints
from node_daemon.checkpoint_writer import CheckpointWriter
from p2pfl.errors import ConfigError, StateError
from p2pfl.model import Checkpoint, Model, Snapshot

PLAN = b"plan-one"


def at_round(round: int, value: float = 0.0, parameters: int = 3) -> Checkpoint:
    model = Model(np.full(parameters, value, np.float32), age=round)
    return Checkpoint(model, {"state": np.array([value])}, Snapshot({"round": round}), round)


def write_rounds(folder: Path, *rounds: int) -> list[Path]:
    writer = CheckpointWriter(folder, plan=PLAN)
    return [writer.write(at_round(number, value=number)) for number in rounds]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def loaded_round(folder: Path) -> int:
    found = checkpoints.load_newest(folder, plan=PLAN)
    assert found is not None
    return found.round


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoints.load_newest(tmp_path) is None
    assert checkpoints.load_newest(tmp_path / "none") is None


def test_the_newest_comes_back_and_three_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    paths = write_rounds(folder, 1, 2, 3, 4, 5)

    assert loaded_round(folder) == 5
    assert sorted(os.listdir(folder)) == [path.name for path in paths[2:]]
    assert paths[4].name.startswith("ckpt-00000005.")
    assert stat.S_IMODE(paths[4].stat().st_mode) == 0o600
    assert [entry.facts.round for entry in checkpoints.list_checkpoints(folder)] == [5, 4, 3]
    assert checkpoints.verify(paths[4]).facts.age == 5


def test_of_two_files_of_one_round_the_later_one_is_newest(tmp_path: Path) -> None:
    for value in (5.0, 1.0, 3.0, 2.0):
        CheckpointWriter(tmp_path).write(at_round(7, value))

    found = checkpoints.load_newest(tmp_path)

    assert found is not None
    assert found.model.params[0] == 2.0


def test_every_flipped_byte_is_detected_header_included(tmp_path: Path) -> None:
    (path,) = write_rounds(tmp_path, 1)

    for place in range(path.stat().st_size):
        flip(path, place)
        with pytest.raises(StateError):
            checkpoints.load(path)
        flip(path, place)

    assert checkpoints.load(path).round == 1


def test_every_cut_is_detected(tmp_path: Path) -> None:
    (path,) = write_rounds(tmp_path, 1)
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError):
            checkpoints.load(path)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_checkpoint_is_set_aside_and_the_previous_serves(
    tmp_path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    paths = write_rounds(tmp_path, 1, 2)
    flip(paths[1], place)

    assert loaded_round(tmp_path) == 1

    assert sorted(os.listdir(tmp_path)) == [paths[0].name, paths[1].name + ".corrupt"]
    assert [record.message for record in caplog.records] == ["checkpoint.corrupt"]


def test_when_all_are_damaged_no_start_begins_from_zero_in_silence(tmp_path: Path) -> None:
    for path in write_rounds(tmp_path, 1, 2):
        flip(path, -1)

    for _ in range(2):  # also at the second start, when only the renamed ones are left
        with pytest.raises(StateError, match="no checkpoint is intact") as caught:
            checkpoints.load_newest(tmp_path)
        assert caught.value.exit_code == 5
        assert "--fresh" in caught.value.fix
        assert len(caught.value.facts) == 2

    assert len(checkpoints.set_aside(tmp_path)) == 2
    assert checkpoints.load_newest(tmp_path) is None


def test_a_fresh_start_keeps_the_old_run_once(tmp_path: Path) -> None:
    write_rounds(tmp_path, 50)
    checkpoints.set_aside(tmp_path)
    (second,) = write_rounds(tmp_path, 1)

    checkpoints.set_aside(tmp_path)

    assert os.listdir(tmp_path) == [second.name + ".old"]
    assert checkpoints.list_checkpoints(tmp_path) == []


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    for number in range(1, 7):
        (path,) = write_rounds(tmp_path, 2 * number)
        write_rounds(tmp_path, 2 * number + 1)
        flip(path, -1)
        flip(path, 0)
        checkpoints.load_newest(tmp_path)

    assert sum(name.endswith(".corrupt") for name in os.listdir(tmp_path)) == checkpoints.KEPT_CORRUPT


def test_leftovers_of_a_crash_are_deleted(tmp_path: Path) -> None:
    (path,) = write_rounds(tmp_path, 1)
    leftover = tmp_path / "ckpt-00000002.00000000000000000000000000000000.safetensors.tmp"
    leftover.write_bytes(b"half")

    assert loaded_round(tmp_path) == 1
    assert os.listdir(tmp_path) == [path.name]


def test_another_plan_or_another_model_is_refused_with_words(tmp_path: Path) -> None:
    write_rounds(tmp_path, 9)

    with pytest.raises(ConfigError, match="another plan") as caught:
        checkpoints.load_newest(tmp_path, plan=b"plan-two")
    assert "--fresh" in caught.value.fix
    with pytest.raises(ConfigError, match="another number of parameters") as caught:
        checkpoints.load_newest(tmp_path, parameters=4)
    assert caught.value.facts == ("stored at round 9: 3; configured: 4",)
    assert checkpoints.load_newest(tmp_path, plan=PLAN, parameters=3) is not None


def test_a_full_disk_is_said_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    (path,) = write_rounds(tmp_path, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100, 99, 1))

    with pytest.raises(StateError, match="disk full"):
        CheckpointWriter(tmp_path).write(at_round(2))

    assert os.listdir(tmp_path) == [path.name]


def test_a_checkpoint_under_another_name_is_not_believed(tmp_path: Path) -> None:
    (path,) = write_rounds(tmp_path, 1)
    renamed = path.rename(tmp_path / f"ckpt-00000001.{'0' * 32}.safetensors")

    with pytest.raises(StateError, match="not what its name says"):
        checkpoints.verify(renamed)
    with pytest.raises(StateError, match="No such file"):
        checkpoints.load(path)


def test_each_start_has_a_higher_incarnation(tmp_path: Path) -> None:
    folder = tmp_path / "state"

    assert [checkpoints.next_incarnation(folder) for _ in range(3)] == [1, 2, 3]
    assert (folder / "incarnation").read_text() == "3\n"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "9" * 30, str(2**63 - 1), "\xff"])
def test_an_incarnation_that_is_no_number_is_a_state_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "incarnation").write_text(text, "latin-1")

    with pytest.raises(StateError, match="does not hold a number"):
        checkpoints.next_incarnation(tmp_path)
