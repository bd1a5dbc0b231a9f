"""Every error that a user can cause now: one clear message, its exit code, no traceback.

Daemons that get as far as running do so as with a user, in a process of their own.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.cli.start import THREADS
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private

LONER = '[network]\nport = 0\nmdns = false\n[task]\nname = "digits_softmax"\n'
ALONE = LONER.replace("[network]", "[network]\nmin_peers = 1")


def type_in(*words: str) -> tuple[int, str]:
    """Exit code and standard error of a command, in this process; also of a daemon that never begins."""
    result = CliRunner().invoke(app, list(words))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.stderr


def start(home: Path, *words: str, config: str = LONER) -> tuple[int, str]:
    """The same for a daemon that begins, in a process of its own."""
    write_private(home / "p2pnode.toml", config)
    write_private(home / "trust.toml", 'mode = "open"\n')
    environment = {k: v for k, v in os.environ.items() if not k.startswith("P2PNODE_")}
    command = [sys.executable, "-m", "node_daemon", "start", "--home", str(home), *words]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)
    assert "Traceback" not in answer.stderr
    return answer.returncode, answer.stderr


def start_in_vain(home: Path, *words: str, config: str = LONER) -> tuple[int, str]:
    """The same for a daemon that is refused before it has done anything: it needs no process of its own."""
    write_private(home / "p2pnode.toml", config)
    write_private(home / "trust.toml", 'mode = "open"\n')
    with pytest.MonkeyPatch.context() as environment:
        for variable in THREADS:
            environment.setenv(variable, "1")  # as the command does, but only for now
        for variable in [name for name in os.environ if name.startswith("P2PNODE_")]:
            environment.delenv(variable)
        return type_in("start", "--home", str(home), *words)


def test_a_key_that_is_no_setting(tmp_path: Path) -> None:
    code, text = start(tmp_path, config="[network]\nprot = 7965\n")

    assert code == 3
    assert text == (
        f"error: network.prot is not a setting ({tmp_path}/p2pnode.toml, line 2)\n"
        "  fix: did you mean network.port?\n"
    )


def test_a_variable_that_is_no_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PNODE_NETWORK__PROT", "1")

    code, text = type_in("config", "show", "--home", str(tmp_path))

    assert code == 3
    assert "fix: did you mean P2PNODE_NETWORK__PORT?" in text


def test_a_topology_that_does_not_exist() -> None:
    code, text = type_in("topology", "show", "rign")

    assert code == 3
    assert text.startswith("error: unknown topology 'rign'; known: erdos_renyi, exponential, ")
    assert text.endswith("torus\n  fix: did you mean ring?\n")


@pytest.mark.parametrize(
    ("option", "name", "meant"),
    [
        ("--topology", "rign", "ring"),
        ("--protocol", "gossip", "gossip_averaging"),
        ("--task", "digit", "digits"),
    ],
)
def test_a_choice_that_does_not_exist_at_start(tmp_path: Path, option: str, name: str, meant: str) -> None:
    code, text = start_in_vain(tmp_path, option, name)

    assert code == 3
    assert f"error: unknown {option.removeprefix('--')} {name!r}; known: " in text
    assert f"fix: did you mean {meant}?" in text


def test_a_size_that_a_topology_does_not_have() -> None:
    code, text = type_in("topology", "show", "partial_mesh", "--nodes", "5", "--degree", "3")

    assert code == 3
    assert "fix: " in text


def test_a_port_that_somebody_holds(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        code, text = start(tmp_path, "--port", str(port))

    assert code == 6
    assert f"error: cannot listen on 127.0.0.1:{port}: address already in use\n" in text
    assert f"pid {os.getpid()} (" in text
    assert "fix: " in text


def test_a_data_file_that_is_missing(tmp_path: Path) -> None:
    code, text = start_in_vain(tmp_path, config=f'{LONER}[data]\npath = "nowhere.csv"\n')

    assert code == 3
    assert (
        f"error: cannot read the data file: No such file or directory (data.path = {tmp_path}/nowhere.csv)"
        in text
    )


def test_company_that_does_not_come_within_the_wait(tmp_path: Path) -> None:
    code, text = start(tmp_path, "--wait", "0.2")

    assert code == 9
    assert "error: only 1 of 2 nodes were there after 0.2 s (network.min_peers)\n" in text


def test_an_address_that_other_machines_reach_without_leave(tmp_path: Path) -> None:
    code, text = start_in_vain(tmp_path, "--host", "0.0.0.0")

    assert code == 3
    assert "error: network.host is 0.0.0.0, which other machines can reach" in text
    assert "--insecure" in text


def test_a_config_that_is_no_toml(tmp_path: Path) -> None:
    code, text = start_in_vain(tmp_path, config="[network\n")

    assert code == 3
    assert "error: not valid TOML" in text


@pytest.mark.parametrize("command", ["status", "peers", "stop", "pause", "resume", "eval"])
def test_a_node_that_is_not_running(tmp_path: Path, command: str) -> None:
    code, text = type_in(command, "--home", str(tmp_path))

    assert code == 4
    assert text == (
        "error: the node is not running\n"
        f"  nothing listens on its control socket {tmp_path}/control.sock\n"
        f"  fix: p2pnode start --home {tmp_path}\n"
    )


def test_an_identity_that_is_missing_or_that_others_can_read(tmp_path: Path) -> None:
    assert type_in("id", "--home", str(tmp_path)) == (
        7,
        f"error: this node has no identity yet ({tmp_path}/identity.key)\n  fix: p2pnode init\n",
    )

    type_in("init", "--home", str(tmp_path))
    (tmp_path / "identity.key").chmod(0o644)
    code, text = type_in("id", "--home", str(tmp_path))

    assert code == 7
    assert "can be read by others" in text
    assert f"fix: chmod 600 {tmp_path}/identity.key" in text


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a daemon that has done its one round."""
    home = tmp_path_factory.mktemp("finished")
    assert start(home, "--rounds", "1", "--until-finished", config=ALONE)[0] == 0
    return home


def test_a_run_with_another_plan_in_the_state_folder(tmp_path: Path, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)

    code, text = start(tmp_path, "--rounds", "2", "--until-finished", config=ALONE)

    assert code == 3
    assert "error: the state folder holds a run with another plan" in text
    assert "--fresh" in text
    assert start(tmp_path, "--rounds", "2", "--until-finished", "--fresh", config=ALONE)[0] == 0


def test_a_checkpoint_that_is_damaged(tmp_path: Path, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "state").glob("ckpt-*"):
        path.write_bytes(path.read_bytes()[:-1])

    code, text = start(tmp_path, "--rounds", "1", config=ALONE)

    assert code == 5
    assert "error: no checkpoint is intact" in text
    assert "fix: restore one from a copy, or start with --fresh" in text


def test_a_mistyped_command_and_a_missing_argument_are_wrong_usage() -> None:
    assert type_in("statsu")[0] == 2
    assert type_in("config", "set", "network.port")[0] == 2


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--debug", "id", "--home", str(tmp_path)])

    assert isinstance(result.exception, ConfigError)  # which the interpreter prints with its traceback
