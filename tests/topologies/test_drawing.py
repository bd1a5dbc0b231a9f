import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

import topologies
from p2pfl.errors import ConfigError
from topologies.drawing import positions


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_written_in_the_format_of_its_name(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"ring.{suffix}"
    topologies.draw(topologies.ring(8), path, title="ring, 8 nodes")
    assert path.read_bytes().startswith(start)


def test_only_one_way_edges_have_arrows() -> None:
    def arrows(graph: nx.Graph) -> int:
        axes = topologies.draw(graph).axes[0]
        return sum(isinstance(patch, FancyArrowPatch) for patch in axes.patches)

    assert arrows(topologies.one_way_trust(6, 2)) == 12
    assert arrows(topologies.ring(6)) == 0


def test_the_title_says_what_is_drawn() -> None:
    assert topologies.draw(topologies.ring(5), title="home").axes[0].get_title() == "home"
    assert topologies.draw(topologies.one_way_ring(5)).axes[0].get_title() == "5 nodes, 5 one-way edges"


def test_a_ring_is_drawn_as_a_circle_in_its_order() -> None:
    places = positions(topologies.ring(6))
    assert np.allclose(np.linalg.norm(places, axis=1), 1)
    assert np.allclose(places[0], [0, 1])
    assert np.allclose(np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1), 1)


@pytest.mark.parametrize(
    "graph",
    [
        topologies.ring(1),
        topologies.star(9),
        topologies.small_world(320, 4, 0.1),
        nx.Graph([("a", "b"), ("kitchen", "garage")]),
        nx.DiGraph([(0, 1), (1, 1)]),
    ],
)
def test_all_nodes_of_any_graph_have_a_place(graph: nx.Graph) -> None:
    places = positions(graph)
    assert places.shape == (len(graph), 2)
    assert np.isfinite(places).all()
    assert len({tuple(place) for place in places.round(9)}) == len(graph)


def test_a_picture_that_cannot_be_written_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot draw to 'ring\.doc'") as caught:
        topologies.draw(topologies.ring(3), tmp_path / "ring.doc")
    assert ".png" in caught.value.fix
    with pytest.raises(ConfigError, match="cannot write the picture"):
        topologies.draw(topologies.ring(3), tmp_path / "no folder" / "ring.png")
    with pytest.raises(ConfigError, match="no nodes"):
        topologies.draw(nx.Graph())


def test_drawing_needs_no_display_and_touches_no_global_figure() -> None:
    code = (
        "import sys, topologies\n"
        "topologies.draw(topologies.ring(3))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_without_matplotlib_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import topologies\n"
        "try:\n    topologies.draw\n"
        "except topologies.load('p2pfl.errors:ConfigError') as error:\n    print(error.fix)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "pip install 'p2pnode[experiments]'"
