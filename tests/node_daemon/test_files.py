"""Private files: whole or not at all, and refused when others could have touched them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from sys import executable

import pytest

from node_daemon.files import (
    create_exclusively,
    load_or_create_identity,
    locked,
    make_private_folder,
    permission_problem,
    read_checked,
    write_atomically,
)
from p2pfl.errors import ConfigError, StateError

ME = 1000


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_is_whole_private_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    write_atomically(path, [b"first"])
    write_atomically(path, [b"sec", memoryview(b"ond")])

    assert path.read_bytes() == b"second"
    assert mode_of(path) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def full_disk() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    path = tmp_path / "state"
    write_atomically(path, [b"old"])

    with pytest.raises(StateError, match="disk full"):
        write_atomically(path, full_disk())

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_a_leftover_of_a_crash_does_not_stop_the_next_write(tmp_path: Path) -> None:
    (tmp_path / "state.tmp").write_bytes(b"torn")

    write_atomically(tmp_path / "state", [b"new"])

    assert (tmp_path / "state").read_bytes() == b"new"


def test_a_missing_folder_is_a_state_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file"):
        write_atomically(tmp_path / "none" / "state", [b"x"])
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot make the folder"):
        make_private_folder(tmp_path / "file" / "folder")


def test_creation_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"

    assert create_exclusively(path, b"mine")
    assert not create_exclusively(path, b"yours")

    assert path.read_bytes() == b"mine"
    assert mode_of(path) == 0o600
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize(
    ("mode", "owner", "is_secret", "words"),
    [
        (0o100600, ME, True, None),
        (0o100400, 0, True, None),
        (0o100644, ME, False, None),
        (0o100644, ME, True, "read by others (mode 0644)"),
        (0o100640, ME, True, "read by others"),
        (0o100620, ME, False, "changed by others"),
        (0o100602, ME, False, "changed by others"),
        (0o100600, 1001, False, "another user (uid 1001)"),
        (0o040700, ME, False, "not a regular file"),
    ],
)
def test_modes_and_owners_are_judged_by_the_table(
    mode: int, owner: int, is_secret: bool, words: str | None
) -> None:
    problem = permission_problem(mode, owner, is_secret=is_secret, user=ME)

    assert (problem is None) == (words is None)
    assert problem is None or str(words) in problem[0]


def test_a_file_that_others_can_change_is_refused_with_the_command_to_run(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text("version = 1\n")
    path.chmod(0o666)

    with pytest.raises(ConfigError, match="changed by others") as caught:
        read_checked(path)
    assert caught.value.fix == f"chmod 600 {path}"
    assert caught.value.exit_code == 7

    path.chmod(0o644)
    assert read_checked(path) == b"version = 1\n"


def test_an_oversized_or_missing_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big"
    write_atomically(path, [bytes(1 << 20), b"x"])

    with pytest.raises(ConfigError, match="longer than"):
        read_checked(path)
    with pytest.raises(FileNotFoundError):
        read_checked(tmp_path / "none")


def test_the_first_start_makes_an_identity_and_the_second_finds_it(tmp_path: Path) -> None:
    folder = tmp_path / "config"

    first = load_or_create_identity(folder)

    assert load_or_create_identity(folder) == first
    assert mode_of(folder) == 0o700
    assert mode_of(folder / "identity.key") == 0o600
    assert os.listdir(folder) == ["identity.key"]


def test_a_key_that_others_can_read_ends_with_exit_code_7_and_the_fix(tmp_path: Path) -> None:
    load_or_create_identity(tmp_path)
    path = tmp_path / "identity.key"
    path.chmod(0o640)

    with pytest.raises(ConfigError, match="read by others") as caught:
        load_or_create_identity(tmp_path)

    assert caught.value.exit_code == 7
    assert caught.value.fix == f"chmod 600 {path}"


def test_a_damaged_key_is_never_replaced_silently(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    write_atomically(path, [b"-----BEGIN PRIVATE KEY-----\n"])

    with pytest.raises(ConfigError, match="PEM") as caught:
        load_or_create_identity(tmp_path)

    assert caught.value.where == str(path)
    assert path.read_bytes() == b"-----BEGIN PRIVATE KEY-----\n"


def test_a_folder_is_held_by_one_process_and_free_after_its_death(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, node_daemon.files as f\n"
        "with f.locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with Popen([executable, "-c", script, str(tmp_path)], stdin=PIPE, stdout=PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="in use") as caught, locked(tmp_path):
            pass
        assert caught.value.facts == (f"pid {holder.pid} holds its lock",)
        holder.kill()
        holder.wait()

    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    with locked(tmp_path):  # and again, after it was given back
        pass
