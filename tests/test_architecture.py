"""The storeys hold: who may import whom, how large things get, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import p2pfl
from p2pfl import registry
from tests import architecture

ROOT = Path(__file__).parents[1]
MAX_EXPORTS = 25
PINNED_EXPORTS = {
    "ConfigError",
    "CyclicPass",
    "Dataset",
    "Evaluation",
    "ExchangeProtocol",
    "GossipAveraging",
    "Learner",
    "Message",
    "Model",
    "P2PError",
    "PushSum",
    "RandomWalk",
    "RemoteError",
    "Samples",
    "StateError",
    "Task",
    "TransportError",
    "View",
    "__version__",
}


def _loaded_after(statement: str, *names: str) -> str:
    """Which of ``names`` are loaded once a fresh interpreter has run ``statement``."""
    script = f"{statement}\nimport sys\nprint(*sorted({set(names)!r} & set(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()


def test_imports_point_down_the_storeys() -> None:
    assert architecture.violations(architecture.modules(ROOT)) == []


def test_no_file_and_no_function_is_too_large() -> None:
    everything = architecture.modules(ROOT, (*architecture.PACKAGES, "tests", "examples"))
    assert architecture.too_large(everything) == []


def test_nobody_counts_more_than_three_parameters_by_place() -> None:
    sources = {
        name: source
        for name, source in architecture.modules(ROOT).items()
        if architecture.storey_name(name) != architecture.ROOF  # typer reads commands by keyword
    }
    assert architecture.too_many_positional(sources) == []


def test_tests_and_examples_reach_no_module_that_does_not_exist() -> None:
    own = architecture.modules(ROOT)
    for name, source in architecture.modules(ROOT, ("tests", "examples")).items():
        for target in architecture.imported(ast.parse(source), own):
            if target.partition(".")[0] in architecture.PACKAGES:
                assert target in own, f"{name} imports {target}"


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("p2pfl.errors", "import p2pfl.model", "above it"),
        ("p2pfl.model", "from p2pfl import events", "above it"),
        ("p2pfl.model", "import torch", "not on its storey's list"),
        ("p2pfl.protocols.mine", "from time import monotonic", "forbidden in its storey"),
        ("p2pfl.protocols.mine", "import os.path", "forbidden in its storey"),
        ("p2pfl.node", "import asyncio", "forbidden in its storey"),
        ("p2pfl.wire.framing", "import socket", "forbidden in its storey"),
        ("p2pfl.protocols.mine", "from p2pfl.aggregation.mean import mean", "stands beside it"),
        ("p2pfl.roster", "import topologies", "stands beside it"),
        ("topologies.ring", "from p2pfl.model import Model", "knows only p2pfl.errors"),
        ("topologies.files", "from p2pfl.model import Model", "knows only p2pfl.errors"),
        ("topologies.ring", "import matplotlib.pyplot", "not on its storey's list"),
        ("p2pfl.transports.tcp", "import zeroconf", "not on its storey's list"),
        ("p2pfl.transports.tcp", "from p2pfl.discovery.mdns import MdnsDiscovery", "stands beside it"),
        ("p2pfl.peer.supervisor", "import p2pfl.registry", "stands beside it"),
        ("p2pfl", "from p2pfl.errors import ConfigError", "knows only p2pfl.registry"),
        ("simulations.processes", "from node_daemon import daemon", "above it"),
        ("node_daemon.daemon", "from simulations import Experiment", "only node_daemon.cli knows"),
        ("node_daemon.daemon", "import node_daemon.cli", "above it"),
        ("p2pfl.novelty", "", "stands in no storey"),
        ("p2pfl.protocols.mine", "from . import protocol", "imports relatively"),
        ("p2pfl.protocols.mine", "import typing\nif typing.TYPE_CHECKING:\n    pass", "uses TYPE_CHECKING"),
        ("p2pfl.protocols.mine", "from typing import TYPE_CHECKING", "uses TYPE_CHECKING"),
        ("p2pfl.protocols.mine", "def late():\n    import numpy", "imports inside late"),
        ("p2pfl.protocols.mine", "if True:\n    import torch", "not on its storey's list"),
    ],
)
def test_the_checker_reports_a_planted(module: str, source: str, expected: str) -> None:
    sources = dict.fromkeys(("p2pfl.events", "p2pfl.model", "node_daemon.daemon"), "") | {module: source}

    assert any(expected in text for text in architecture.violations(sources))


def test_the_checker_reports_a_planted_cycle() -> None:
    sources = {
        "p2pfl.protocols.one": "import p2pfl.protocols.two",
        "p2pfl.protocols.two": "from p2pfl.protocols import three",
        "p2pfl.protocols.three": "from p2pfl.protocols.one import One",
    }

    cycle = (
        "cycle: p2pfl.protocols.one -> p2pfl.protocols.two -> p2pfl.protocols.three -> p2pfl.protocols.one"
    )
    assert architecture.violations(sources) == [cycle]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("p2pfl.protocols.mine", "from p2pfl.protocols.protocol import Setup\nimport numpy as np"),
        ("topologies.drawing", "import matplotlib, os\nfrom topologies.mixing import slem"),
        ("topologies.ring", "from p2pfl.errors import ConfigError"),
        ("p2pfl", "from p2pfl.registry import EXPORTS"),
        ("node_daemon.cli", "def demo():\n    import simulations.demo"),
        ("node_daemon.cli.start", "def demo():\n    import simulations.demo"),
        ("node_daemon.fork_server", "from p2pfl import registry\nimport os"),
    ],
)
def test_the_checker_lets_pass(module: str, source: str) -> None:
    known = dict.fromkeys(("p2pfl.protocols.protocol", "topologies.mixing", "p2pfl.registry"), "")

    assert architecture.violations(known | {module: source}) == []


def test_the_checker_reports_a_long_file_a_long_function_and_too_many_places() -> None:
    lines = "\n".join("    pass" for _ in range(architecture.MAX_FUNCTION_LINES))
    docstring = '    """' + "\n" * 60 + '    """\n'

    assert architecture.too_large({"a": f"def f():\n{lines}\n"})
    assert not architecture.too_large({"a": f"def f():\n{docstring}{lines[9:]}\n"})
    assert architecture.too_large({"a": "pass\n" * (architecture.MAX_FILE_LINES + 1)})
    assert architecture.too_many_positional({"a": "def f(a, b, c, d): pass"})
    assert not architecture.too_many_positional({"a": "class A:\n    def f(self, a, b, c, *, d): pass"})


def test_the_names_that_p2pfl_exports_are_pinned() -> None:
    assert set(registry.EXPORTS) == PINNED_EXPORTS
    assert dir(p2pfl) == sorted(PINNED_EXPORTS)
    assert len(PINNED_EXPORTS) <= MAX_EXPORTS


@pytest.mark.parametrize("name", sorted(PINNED_EXPORTS))
def test_every_exported_name_can_be_loaded(name: str) -> None:
    assert getattr(p2pfl, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'p2pfl' has no attribute 'Nothing'"):
        _ = p2pfl.Nothing


def test_importing_the_errors_brings_neither_numpy_nor_torch() -> None:
    assert _loaded_after("import p2pfl.errors", "numpy", "torch", "networkx") == ""


def test_a_protocol_brings_no_torch_and_no_event_loop() -> None:
    assert _loaded_after("import p2pfl.protocols.protocol", "torch", "asyncio", "zeroconf") == ""
