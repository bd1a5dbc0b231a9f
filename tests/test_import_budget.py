"""What light commands may load: a fresh process each, and the modules that it has in the end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.node_daemon.conftest import write_private

HEAVY = ("torch", "networkx", "zeroconf", "pydantic_settings", "simulations")
PROGRAM = """
import json, sys
from node_daemon.cli import app
try:
    app(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*words: str) -> set[str]:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], check=True, capture_output=True, text=True, timeout=60
    )
    return {name.partition(".")[0] for name in json.loads(answer.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "command", ["--help", "status", "peers", "id", "stop", "pause", "resume", "version", "logs"]
)
def test_a_light_command_loads_nothing_heavy(command: str, tmp_path: Path) -> None:
    words = [command] if command in ("--help", "version") else [command, "--home", str(tmp_path)]

    assert loaded_by(*words).isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["p2pfl", "p2pfl.errors", "topologies", "node_daemon"])
def test_a_package_loads_nothing_heavy_until_a_name_is_asked_for(module: str) -> None:
    program = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )

    found = {name.partition(".")[0] for name in json.loads(answer.stdout)}
    assert found.isdisjoint({*HEAVY, "numpy"} - {module.partition(".")[0]})


def test_a_daemon_of_a_numpy_task_without_mdns_loads_no_torch_and_no_zeroconf(tmp_path: Path) -> None:
    write_private(
        tmp_path / "p2pnode.toml",
        "[network]\nport = 0\nmdns = false\nmin_peers = 1\n"
        '[protocol]\nrounds = 1\n[task]\nname = "digits_softmax"\n',
    )
    program = (
        "import sys, json; from pathlib import Path; from node_daemon.daemon import Manner, run;"
        "code = run(Path(sys.argv[1]), manner=Manner(is_until_finished=True));"
        "print(json.dumps([code, *sorted(sys.modules)]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60
    )

    code, *modules = json.loads(answer.stdout)
    assert code == 0
    assert {name.partition(".")[0] for name in modules}.isdisjoint(
        {"torch", "zeroconf", "simulations", "sklearn"}
    )
