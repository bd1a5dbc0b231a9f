import os
from pathlib import Path

import pytest

from node_daemon.paths import MAX_SOCKET_PATH_BYTES, config_files, find_paths, home_paths
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private


def test_a_home_holds_all_files_of_a_node() -> None:
    paths = home_paths(Path("/srv/node"))

    assert [str(path) for path in (paths.config, paths.identity, paths.state, paths.socket)] == [
        "/srv/node/p2pnode.toml",
        "/srv/node/identity.key",
        "/srv/node/state",
        "/srv/node/control.sock",
    ]
    assert paths.note == ""


def test_a_long_home_puts_its_socket_into_the_runtime_folder_and_says_so(user: Path) -> None:
    home = Path("/srv") / ("x" * MAX_SOCKET_PATH_BYTES)

    paths = home_paths(home)

    assert paths.socket.parent == user.parent / "run/p2pnode"
    assert str(paths.socket) in paths.note
    assert paths.socket != home_paths(home / "other").socket


def test_the_network_is_found_without_validating_the_config(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_paths().state == user.parent / "state/p2pnode/default"
    write_private(user / "p2pnode.toml", '[network]\nname = "lab"\n[nonsense]\n')
    assert find_paths().state == user.parent / "state/p2pnode/lab"
    monkeypatch.setenv("P2PNODE_NETWORK__NAME", "other")
    assert find_paths().socket == user.parent / "run/p2pnode/other.sock"
    assert find_paths(network="third").socket == user.parent / "run/p2pnode/third.sock"


def test_a_home_and_a_config_file_exclude_each_other(user: Path) -> None:
    with pytest.raises(ConfigError, match="exclude each other") as caught:
        config_files(user, user / "x.toml", os.environ)

    assert caught.value.exit_code == 2


def test_a_session_without_a_runtime_folder_is_nothing_to_warn_of(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert find_paths().socket.name == "default.sock"  # and a warning would fail this test
