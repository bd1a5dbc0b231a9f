"""What light commands may load: a fresh process each, and the modules that it has in the end."""

import json
import subprocess
import sys
from pathlib import Path

from tests.node_daemon.conftest import write_private

HEAVY = ("torch", "networkx", "zeroconf", "pydantic_settings", "simulations")
LIGHT = ("--help", "version", "status", "peers", "id", "stop", "pause", "resume", "logs", "trust")
COMMANDS = """
import json, sys
from node_daemon.cli import app
loaded = {}
for words in json.loads(sys.argv[1]):
    try:
        app(words)
    except SystemExit:
        loaded[words[0]] = sorted(sys.modules)
print(json.dumps(loaded))
"""
PACKAGES = """
import json, sys
loaded = {}
for name in json.loads(sys.argv[1]):
    __import__(name)
    loaded[name] = sorted(sys.modules)
print(json.dumps(loaded))
"""


def loaded_after(program: str, *argument: object) -> dict[str, set[str]]:
    """The packages that one fresh process has after each thing it did; what came stays for the later ones."""
    command = [sys.executable, "-c", program, json.dumps(argument)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    loaded = json.loads(answer.stdout.splitlines()[-1])
    return {name: {module.partition(".")[0] for module in modules} for name, modules in loaded.items()}


def test_no_light_command_loads_anything_heavy(tmp_path: Path) -> None:
    home = ["--home", str(tmp_path)]
    words = [[name] if name in ("--help", "version") else [name, *home] for name in LIGHT[:-1]]
    words.append(["trust", "list", *home])

    loaded = loaded_after(COMMANDS, *words)

    assert list(loaded) == list(LIGHT)
    assert {name: heavy for name, found in loaded.items() if (heavy := found & set(HEAVY))} == {}


def test_no_package_loads_anything_heavy_until_a_name_is_asked_for() -> None:
    names = ("p2pfl", "p2pfl.errors", "topologies", "node_daemon")

    loaded = loaded_after(PACKAGES, *names)

    assert list(loaded) == list(names)
    assert {name: heavy for name, found in loaded.items() if (heavy := found & {*HEAVY, "numpy"})} == {}


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
