import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node_daemon.cli import app
from tests.node_daemon.conftest import write_private

PNG = b"\x89PNG"


def type_in(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def answer(*words: str) -> dict[str, object]:
    result = type_in(*words, "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    assert found.pop("schema_version") == 1
    return found


@pytest.mark.parametrize(
    "command",
    [
        *(
            "demo",
            "init",
            "start",
            "stop",
            "pause",
            "resume",
            "status",
            "peers",
            "id",
            "logs",
            "eval",
            "version",
            "doctor",
            "ping",
            "reload",
        ),
        *("config show", "config path", "config check", "config set"),
        *("checkpoint list", "checkpoint export", "checkpoint verify"),
        *("topology list", "topology show", "topology compare"),
        *("sim run", "sim compare"),
    ],
)
def test_the_help_of_every_command_ends_with_an_example_of_it(command: str) -> None:
    result = type_in(*command.split(), "--help")

    assert result.exit_code == 0
    assert f"Example: p2pnode {command}" in result.stdout.strip().splitlines()[-1]


def test_a_mistyped_command_gets_the_right_suggestion() -> None:
    result = type_in("statsu")

    assert result.exit_code == 2
    assert "'status'" in result.stderr


def test_the_panels_of_the_help_stand_in_the_order_of_a_users_way() -> None:
    lines = type_in("--help").stdout.splitlines()

    found = [line.split()[1] for line in lines if line.startswith("╭─")]
    assert found == ["Options", "Start", "Everyday", "Models", "Research", "Help"]


@pytest.mark.parametrize(
    "words", ["statsu", "topology shwo", "demo --nodes many", "status --hme x", "start -x"]
)
def test_wrong_usage_is_one_object_too(words: str) -> None:
    result = type_in(*words.split(), "--json")

    (line,) = result.stdout.splitlines()
    assert json.loads(line)["error"]["code"] == result.exit_code == 2


def test_a_mistake_of_the_program_is_one_message_and_its_traceback_is_kept(tmp_path: Path) -> None:
    program = "import sys; from node_daemon.command_group import report_unexpected as report\n"
    program += "sys.excepthook = report\nsys.argv = ['p2pnode', 'demo']\n1 / 0\n"
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    assert result.returncode == 1
    assert result.stderr.startswith(
        "error: this is a mistake in p2pnode: ZeroDivisionError: division by zero\n"
    )
    (path,) = tmp_path.rglob("crash.log")
    assert f"the traceback is in {path}\n" in result.stderr
    assert path.read_text().startswith("p2pnode demo\nTraceback ")


def test_init_says_how_to_start_this_node_and_what_it_left_alone(tmp_path: Path) -> None:
    home = str(tmp_path / "a home")

    assert (
        f"next      p2pnode start --home '{home}'\nthen      p2pnode trust add ID"
        in type_in("init", "--home", home).stdout
    )
    again = type_in("init", "--home", home, "--name", "my attic").stdout
    assert f"change    p2pnode config set node.name 'my attic' --home '{home}'\n" in again


def test_settings_read_as_in_toml(tmp_path: Path) -> None:
    home = str(tmp_path)
    answer("config", "set", "network.static", '["tcp://a:1"]', "--home", home)

    rows = [line.split(maxsplit=1) for line in type_in("config", "show", "--home", home).stdout.splitlines()]
    assert ["network.mdns", "true"] in rows
    assert ["network.static", '["tcp://a:1"]'] in rows


def test_topologies_are_compared_in_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "both.png"

    found = answer("topology", "compare", "ring", "star", "--nodes", "5", "--plot", str(path))

    assert found["plot"] == str(path)
    assert path.read_bytes().startswith(PNG)


def test_an_option_that_none_of_the_compared_topologies_has_is_refused() -> None:
    result = type_in("topology", "compare", "ring", "partial_mesh", "--option", "degre=4")

    assert result.exit_code == 3
    assert result.stderr.endswith("fix: did you mean degree?\n")


def test_init_makes_an_identity_and_a_config_and_leaves_them_alone_afterwards(tmp_path: Path) -> None:
    home = str(tmp_path / "home")

    first = answer("init", "--home", home, "--network", "lab", "--name", "kitchen")
    config = (tmp_path / "home/p2pnode.toml").read_text()
    second = answer("init", "--home", home, "--network", "other")

    assert (first["config_written"], second["config_written"]) == (True, False)
    assert first["id"] == second["id"] == answer("id", "--home", home)["id"]
    assert (tmp_path / "home/p2pnode.toml").read_text() == config
    assert 'name = "lab"' in config
    assert 'name = "kitchen"' in config
    assert (tmp_path / "home/identity.key").stat().st_mode & 0o777 == 0o600


def test_settings_are_shown_with_their_origin_and_changed(tmp_path: Path) -> None:
    home = str(tmp_path)
    answer("init", "--home", home)

    assert answer("config", "set", "network.port", "7999", "--home", home)["value"] == 7999
    shown = answer("config", "show", "--origin", "--home", home)

    settings, origins = shown["settings"], shown["origins"]
    assert isinstance(settings, dict)
    assert isinstance(origins, dict)
    assert settings["network.port"] == 7999
    assert origins["network.port"].startswith(f"{home}/p2pnode.toml, line ")
    assert origins["network.seed"] == "default"
    assert answer("config", "path", "--home", home)["socket"] == f"{home}/control.sock"


def test_a_valid_config_is_called_valid_with_its_plan(tmp_path: Path) -> None:
    write_private(tmp_path / "p2pnode.toml", '[task]\nname = "digits_softmax"\n')

    found = answer("config", "check", "--home", str(tmp_path))

    assert found["valid"] is True
    assert "task digits_softmax" in str(found["plan_words"])


@pytest.mark.parametrize("names", [["ring", "torus", "full_mesh"], ["one_way_ring"]])
def test_topologies_are_compared_side_by_side(names: Sequence[str]) -> None:
    found = answer("topology", "compare", *names, "--nodes", "16")

    rows = found["topologies"]
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == names
    assert type_in("topology", "compare", *names).stdout.startswith("NAME")


def test_the_sample_figures_of_the_manual_are_what_the_command_prints() -> None:
    lines = type_in("topology", "compare", "ring", "torus", "full_mesh", "--nodes", "16").stdout.splitlines()

    assert [line.split() for line in lines[1:4]] == [
        ["ring", "2", "8", "0.051", "133", "32"],
        ["torus", "4", "4", "0.400", "14", "64"],
        ["full_mesh", "15", "1", "1.000", "1", "240"],
    ]


def test_a_topology_is_shown_with_a_picture(tmp_path: Path) -> None:
    words = ("topology", "show", "partial_mesh", "--nodes", "12", "--degree", "3", "--seed", "1")

    found = answer(*words, "--plot", str(tmp_path / "mesh.png"))

    assert (found["nodes"], found["degree_max"], found["edges"]) == (12, 3, 18)
    assert (tmp_path / "mesh.png").read_bytes().startswith(PNG)


def test_every_topology_is_listed_with_its_options() -> None:
    rows = answer("topology", "list")["topologies"]

    assert isinstance(rows, list)
    assert next(row for row in rows if row["name"] == "small_world")["options"] == {"k": 4, "p": 0.1}


def test_the_version_names_what_matters_for_repeating_a_run() -> None:
    assert set(answer("version")) == {
        *("version", "protocol", "python", "torch", "numpy", "networkx", "platform"),
    }


def test_the_end_of_the_log_is_shown(tmp_path: Path) -> None:
    write_private(tmp_path / "state/daemon.log", "".join(f'{{"n": {i}}}\n' for i in range(50_000)))

    assert type_in("logs", "--home", str(tmp_path), "-n", "2").stdout == '{"n": 49998}\n{"n": 49999}\n'
    assert type_in("logs", "--home", str(tmp_path), "-n", "0").stdout == ""
    assert answer("logs", "--home", str(tmp_path), "-n", "1")["lines"] == ['{"n": 49999}']
    assert len(type_in("logs", "--home", str(tmp_path), "-n", "40000").stdout.splitlines()) == 40_000


def test_a_failure_is_one_object_too_with_every_error_in_it(tmp_path: Path) -> None:
    write_private(tmp_path / "p2pnode.toml", "[network]\nprot = 1\nmdsn = true\n")

    result = type_in("config", "check", "--home", str(tmp_path), "--json")

    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert error["what"] == "network.prot is not a setting"
    assert error["where"] == f"{tmp_path}/p2pnode.toml, line 2"
    assert error["fix"] == "did you mean network.port?"
    assert [other["what"] for other in error["others"]] == ["network.mdsn is not a setting"]
    assert result.stderr == ""
