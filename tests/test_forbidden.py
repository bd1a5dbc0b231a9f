"""Forms that execute code from data, weaken TLS, or make a run unrepeatable: none here, and each reported.

The linter enforces most of them.  A linter that is configured and silent proves nothing, so every forbidden
form is planted in a file of its own and must be reported; what the linter cannot see is read from the tree.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import architecture

ROOT = Path(__file__).parents[1]
IMPORTERS = {"p2pfl.registry", "topologies"}  # the two tables of names
TLS_MODULE = "p2pfl.transports.tls"  # pins keys itself

# form -> the rule that reports it
PLANTED = {
    "import pickle": "TID251",
    "import cloudpickle": "TID251",
    "import dill": "TID251",
    "import joblib": "TID251",
    "import marshal": "TID251",
    "import shelve": "TID251",
    "import pickle\n\npickle.loads(b'')": "S301",
    "import marshal\n\nmarshal.loads(b'')": "S302",
    "import numpy as np\n\nnp.load('weights.npy')": "TID251",
    "from numpy import load": "TID251",
    "import torch\n\ntorch.load('weights.pt')": "TID251",
    "import torch\n\ntorch.save({}, 'weights.pt')": "TID251",
    "eval('1')": "S307",
    "exec('x = 1')": "S102",
    "import importlib\n\nimportlib.import_module('os')": "TID251",
    "from importlib import import_module": "TID251",
    "import yaml": "TID251",
    "import yaml\n\nyaml.load('')": "S506",
    "import subprocess\n\nsubprocess.run('ls', shell=True)": "S602",
    "import os\n\nos.system('ls')": "S605",
    "import asyncio\n\nasyncio.create_subprocess_shell('ls')": "TID251",
    "import time\n\ntime.time()": "TID251",
    "import time\n\ntime.time_ns()": "TID251",
    "from time import time": "TID251",
    "import datetime\n\ndatetime.datetime.now()": "DTZ005",
    "import datetime\n\ndatetime.datetime.now(datetime.UTC)": "TID251",
    "import datetime\n\ndatetime.datetime.utcnow()": "DTZ003",
    "import datetime\n\ndatetime.datetime.today()": "DTZ002",
    "import datetime\n\ndatetime.date.today()": "DTZ011",
    "import random": "TID251",
    "import numpy as np\n\nnp.random.seed(1)": "NPY002",
    "import numpy as np\n\nnp.random.rand(3)": "NPY002",
    "import ssl\n\nssl.CERT_NONE": "TID251",
    "import ssl\n\nssl._create_unverified_context()": "S323",
    "import msgpack\n\nmsgpack.Unpacker()": "TID251",
    "from msgpack import Unpacker": "TID251",
    "from pickle import loads": "TID251",
    "from torch import load": "TID251",
    "from os import system\n\nsystem('ls')": "S605",
    "import subprocess as s\n\ns.Popen('ls', shell=True)": "S602",
    "from datetime import datetime, UTC\n\ndatetime.now(UTC)": "TID251",
    "from random import choice": "TID251",
    "from numpy.random import shuffle\n\nshuffle([1])": "NPY002",
    "from ssl import CERT_NONE": "TID251",
}


def _reported(path: Path) -> dict[str, set[str]]:
    """Rules that the configured linter reports, by file name."""
    command = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    command += ["--no-cache", "--output-format", "json", str(path)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, set[str]] = {}
    for row in json.loads(answer.stdout):
        found.setdefault(Path(row["filename"]).name, set()).add(row["code"])
    return found


def test_the_linter_reports_every_forbidden_form(tmp_path: Path) -> None:
    for number, form in enumerate(PLANTED):
        (tmp_path / f"planted_{number}.py").write_text(f"{form}\n", "utf-8")

    reported = _reported(tmp_path)

    silent = {
        form: rule
        for number, (form, rule) in enumerate(PLANTED.items())
        if rule not in reported.get(f"planted_{number}.py", set())
    }
    assert silent == {}


# Who may do what the linter bans, and what of it: an exemption of a file is one of every rule in its name.
EXEMPT = {
    "node_daemon/logs.py": {"datetime.datetime.now"},
    "p2pfl/data/npz.py": {"numpy.load"},
    "p2pfl/registry.py": {"importlib.import_module"},
    "p2pfl/transports/tls.py": {"ssl.CERT_NONE"},
    "topologies/__init__.py": {"importlib.import_module"},
}


def test_the_tree_has_no_forbidden_form_but_the_few_that_are_named_here() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json"]
    command += ["--config", "lint.per-file-ignores = {}", "--select", ",".join(sorted(set(PLANTED.values())))]
    command += ["--ignore-noqa", *architecture.PACKAGES]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, set[str]] = {}
    for row in json.loads(answer.stdout):
        what = row["message"].split("`")[1] if "`" in row["message"] else row["code"]
        found.setdefault(str(Path(row["filename"]).relative_to(ROOT)), set()).add(what)

    assert found == EXEMPT


def test_the_linter_lets_a_module_in_evaluation_mode_pass(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text('"""Plain."""\n\nmodel = object()\nmodel.eval()\n', "utf-8")

    assert "S307" not in _reported(tmp_path).get("plain.py", set())


def forbidden(module: str, tree: ast.AST) -> Iterator[str]:
    """What no linter rule sees: TLS switched off by an attribute, code made from text, modules by name."""
    for node in ast.walk(tree):
        word = _word(node)
        if word in {"CERT_NONE", "check_hostname"} and module != TLS_MODULE:
            yield f"{module}: {word} (line {node.lineno})"  # type: ignore[attr-defined]
        if word == "import_module" and module not in IMPORTERS:
            yield f"{module}: {word} (line {node.lineno})"  # type: ignore[attr-defined]
        if word == "__import__" or (isinstance(node, ast.Name) and word in {"eval", "exec", "compile"}):
            yield f"{module}: {word} (line {node.lineno})"  # type: ignore[attr-defined]
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and _is_not_false(node.value):
            yield f"{module}: allow_pickle (line {node.value.lineno})"


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return node.name if isinstance(node, ast.alias) else ""


def _is_not_false(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


def test_the_tree_has_no_forbidden_form_that_the_linter_cannot_see() -> None:
    sources = architecture.modules(ROOT)

    assert [text for name in sources for text in forbidden(name, ast.parse(sources[name]))] == []


@pytest.mark.parametrize(
    "form",
    [
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE",
        "setattr(context, 'x', ssl.VerifyMode.CERT_NONE)",
        "__import__('os')",
        "run = eval",
        "exec(compile(text, 'f', 'exec'))",
        "importlib.import_module(name)",
        "from importlib import import_module",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_reader_of_the_tree_reports_a_planted(form: str) -> None:
    assert list(forbidden("node_daemon.daemon", ast.parse(form)))


def test_only_the_module_that_pins_keys_may_switch_off_the_certificate_check() -> None:
    assert list(forbidden(TLS_MODULE, ast.parse("context.check_hostname = False"))) == []
    assert list(forbidden("p2pfl.registry", ast.parse("from importlib import import_module"))) == []


def test_pyyaml_is_no_dependency() -> None:
    assert "yaml" not in (ROOT / "pyproject.toml").read_text("utf-8").split("[tool.", 1)[0].lower()
