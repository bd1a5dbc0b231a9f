from pathlib import Path

import numpy as np

from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.doctor import storage
from p2pfl.model import Checkpoint, Model, Snapshot
from tests.node_daemon.doctor.cases import case_of, in_words


def keep(home: Path, round: int) -> Path:
    model = Model(np.full(100, round, np.float32), round)
    return CheckpointWriter(home / "state").write(Checkpoint(model, {}, Snapshot({}), round))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_state_folder_can_be_written_or_not(tmp_path: Path) -> None:
    case = case_of(tmp_path)

    assert in_words(storage.state(case)).startswith("ok")  # it is made by the first start
    assert in_words(storage.state(case, is_writable=lambda _: False)).startswith(f"fail {tmp_path} cannot be")
    (tmp_path / "state").write_text("no folder")
    assert in_words(storage.state(case)).startswith(f"fail {tmp_path}/state cannot be written")


def test_the_newest_checkpoint_is_verified(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    assert in_words(storage.stored(case)).startswith("ok none is stored yet")
    older, newer = keep(tmp_path, 1), keep(tmp_path, 2)

    assert in_words(storage.stored(case)).startswith("ok round 2 verifies")
    damage(newer)
    assert in_words(storage.stored(case)).startswith("warn 1 damaged; round 1 verifies")
    damage(older)
    assert in_words(storage.stored(case)).startswith("fail none of 2 in")
    assert newer.exists()  # nothing is set aside by looking


def test_room_is_counted_in_checkpoints(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    size = keep(tmp_path, 1).stat().st_size

    for free, grade in (
        (2 * size - 1, "fail"),
        (2 * size, "warn"),
        (10 * size - 1, "warn"),
        (10 * size, "ok"),
    ):
        assert in_words(storage.disk(case, free_bytes=lambda _, free=free: free)).startswith(grade)  # type: ignore[misc]
