import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

import topologies
from p2pfl.errors import ConfigError


def two_stars(n: int, bridge: int = 1, seed: int = 0) -> nx.Graph:
    """A newcomer's family, named by import path."""
    return nx.barbell_graph(max(n // 2, 3), bridge + seed)


def test_importing_topologies_brings_neither_networkx_nor_scipy_nor_matplotlib() -> None:
    code = (
        "import sys, topologies; print([m for m in ('networkx', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_building_a_graph_brings_no_matplotlib() -> None:
    code = "import sys, topologies; topologies.build('ring', 3); print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_every_name_in_the_tables_can_be_loaded() -> None:
    for name in dir(topologies):
        assert getattr(topologies, name) is not None
    assert "file" not in dir(topologies)


def test_the_stub_for_editors_names_what_the_tables_name() -> None:
    stub = Path(topologies.__file__).with_suffix(".pyi").read_text()
    stated = {line.rsplit(" as ", 1)[1] for line in stub.splitlines() if " as " in line}
    assert stated == set(dir(topologies)) - {"EXPORTS", "FAMILIES", "load"}


def test_an_unknown_topology_lists_the_known_ones_and_suggests_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match="unknown topology 'rign'; known: erdos_renyi, exponential"
    ) as caught:
        topologies.build("rign", 8)
    assert caught.value.fix == "did you mean ring?"


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        topologies.build("partial_mesh", 8, degre=4)
    assert caught.value.fix == "did you mean degree?"
    with pytest.raises(ConfigError, match=r"known: \(none\)"):
        topologies.build("ring", 8, degree=4)


def test_a_family_outside_the_project_is_named_by_import_path() -> None:
    graph = topologies.build("tests.topologies.test_catalogue:two_stars", 8, seed=1, bridge=2)
    assert graph.number_of_nodes() == 4 + 4 + 3
    with pytest.raises(ConfigError, match="no_such"):
        topologies.build("tests.topologies.test_catalogue:no_such", 8)
    with pytest.raises(ConfigError, match="no_such_lab"):
        topologies.build("no_such_lab.graphs:cube", 8)


def test_the_list_of_families_has_options_with_their_defaults() -> None:
    options = {family.name: dict(family.options) for family in topologies.families()}
    assert options["small_world"] == {"k": 4, "p": 0.1}
    assert options["partial_mesh"] == {"degree": 4}
    assert options["ring"] == {}
    assert set(options["file"]) == {"path", "names"}


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="rign"):
        topologies.rign  # type: ignore[attr-defined]  # noqa: B018
