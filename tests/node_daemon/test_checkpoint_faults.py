"""R10, R16, R17: power cuts, disks that are full, read-only or broken, and flipped bytes."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from node_daemon import checkpoint as checkpoints
from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.disk import POINTS
from p2pfl.errors import StateError
from p2pfl.model import Checkpoint, Model, Snapshot
from tests.node_daemon.disks import OPERATIONS, FailingDisk, RecordingDisk, survivors

MEGABYTE = 1 << 20


def at_round(number: int, parameters: int = 4) -> Checkpoint:
    model = Model(np.full(parameters, number, np.float32), age=number)
    return Checkpoint(model, {"momentum": np.full(2, float(number))}, Snapshot({"mark": number}), number)


def found_round(folder: Path) -> int:
    found = checkpoints.load_newest(folder)
    assert found is None or found.model.params[0] == found.state["momentum"][0] == found.round
    return 0 if found is None else found.round


# R10.


def test_every_prefix_of_the_operations_recovers_to_the_last_announced_round(tmp_path: Path) -> None:
    disk, folder = RecordingDisk(), tmp_path / "state"
    writer = CheckpointWriter(folder, disk=disk)
    for number in range(1, 7):
        writer.write(at_round(number))
        disk.announce(number)
    assert {str(operation) for operation, *_ in disk.log} >= {"create", "sync", "sync_folder", "unlink"}

    seen = 0
    for length in range(len(disk.log) + 1):
        log = disk.log[:length]
        announced = max([0, *(int(str(entry[1])) for entry in log if entry[0] == "announce")])
        for number, files in enumerate(survivors(log)):
            after = tmp_path / f"after-{length}-{number}"
            after.mkdir()
            for name, content in files.items():
                (after / name).write_bytes(content)
            assert announced <= found_round(after) <= announced + 1, (length, sorted(files))
            assert not list(after.glob("*.corrupt")), "a half file bore a name"
            seen += 1
    assert seen > 200


class Forgetful(RecordingDisk):
    """As a careless writer would use it: no fsync."""

    def sync(self, descriptor: int) -> None:
        pass


def test_the_model_of_a_power_cut_sees_a_missing_fsync(tmp_path: Path) -> None:
    disk = Forgetful()
    CheckpointWriter(tmp_path / "state", disk=disk).write(at_round(1))

    assert any(b"" in files.values() for files in survivors(disk.log))


def test_a_new_state_folder_is_as_durable_as_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("node_daemon.files.sync_folder", synced.append)

    CheckpointWriter(tmp_path / "home" / "state").write(at_round(1))

    assert synced == [tmp_path / "home", tmp_path]


# R16.


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failure_of_any_operation_loses_nothing_and_the_next_write_succeeds(
    tmp_path: Path, operation: str, number: int
) -> None:
    disk = FailingDisk(operation, number)
    disk.is_broken = False
    writer = CheckpointWriter(tmp_path, disk=disk)
    writer.write(at_round(1))
    disk.is_broken = True

    for attempt in (2, 3):
        with pytest.raises(StateError, match="disk full" if number == errno.ENOSPC else "cannot"):
            writer.write(at_round(attempt))
        assert not list(tmp_path.glob("*.tmp"))
    assert found_round(tmp_path) == 1 or operation == "sync_folder"  # whose file has its name already
    disk.is_broken = False
    writer.write(at_round(4))

    assert found_round(tmp_path) == 4


@pytest.mark.parametrize("point", POINTS)
def test_an_error_at_any_point_leaves_a_good_state(tmp_path: Path, point: str) -> None:
    calls: list[str] = []

    def fail_late(reached: str) -> None:
        calls.append(reached)
        if reached == point and len(calls) > 40:
            raise OSError(errno.EIO, "Input/output error")

    writer = CheckpointWriter(tmp_path, reached=fail_late)
    written = [0]

    def write_until_it_fails() -> None:
        for number in range(1, 20):
            writer.write(at_round(number))
            written.append(number)

    with pytest.raises((StateError, OSError)):
        write_until_it_fails()

    assert written[-1] >= 3
    assert written[-1] <= found_round(tmp_path) <= written[-1] + 1


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateError, match="cannot make the folder"):
        CheckpointWriter(tmp_path / "file" / "state").write(at_round(1))


def test_what_is_not_finite_is_not_written_over_what_is_good(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    writer.write(at_round(1))
    broken = Checkpoint(Model(np.array([np.nan, 1], np.float32)), {}, Snapshot(), 2)
    no_state = Checkpoint(Model(np.zeros(2, np.float32)), {"m": np.array([np.inf])}, Snapshot(), 2)

    for item, words in ((broken, "'model' is not finite"), (no_state, "'state/m' is not finite")):
        with pytest.raises(StateError, match=re.escape(words)):
            writer.write(item)

    assert found_round(tmp_path) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where this user may mount one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs takes root")
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_said_and_recovers(small_disk: Path) -> None:
    folder, parameters = small_disk / "state", MEGABYTE // 16  # 256 KB each
    writer = CheckpointWriter(folder)
    for number in (1, 2):
        writer.write(at_round(number, parameters))
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2 * MEGABYTE))

    for number in (3, 4):
        with pytest.raises(StateError, match="disk full"):
            writer.write(at_round(number, parameters))
        assert found_round(folder) == 2
    ballast.unlink()
    writer.write(at_round(5, parameters))

    assert found_round(folder) == 5


# R17.


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_in_any_region_is_found_and_the_previous_checkpoint_serves(
    tmp_path: Path, mask: int
) -> None:
    writer = CheckpointWriter(tmp_path)
    writer.write(at_round(1))
    path = writer.write(at_round(2))
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    places = {*range(8), *range(8, header, 3), *range(header, len(whole))}

    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= mask
        path.write_bytes(damaged)
        assert found_round(tmp_path) == 1, f"byte {place} of {len(whole)}"
        (tmp_path / f"{path.name}.corrupt").rename(path)


def test_a_checkpoint_with_a_hash_of_its_own_that_is_not_finite_is_set_aside(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path)
    writer.write(at_round(1))
    path = writer.write(at_round(2))
    data = path.read_bytes()
    damaged = data[:-4] + np.float32(np.nan).tobytes()  # in the model, which stands last
    digest = sha256(damaged).hexdigest()[:32]
    path.unlink()
    path.with_name(f"ckpt-00000002.{digest}.safetensors").write_bytes(damaged)

    assert found_round(tmp_path) == 1
    assert len(list(tmp_path.glob("*.corrupt"))) == 1
