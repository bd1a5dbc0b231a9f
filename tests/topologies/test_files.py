"""Graph files: what is read, and each way in which one can be wrong."""

import json
from pathlib import Path

import networkx as nx
import pytest

import topologies
from p2pfl.errors import ConfigError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_an_edge_list_keeps_names_and_order(tmp_path: Path) -> None:
    path = write(tmp_path, "house.edges", "# the house\nvan garage\n\ngarage kitchen  # door\n")
    graph = topologies.from_file(path)
    assert type(graph) is nx.Graph
    assert list(graph) == ["van", "garage", "kitchen"]
    assert list(graph.edges) == [("van", "garage"), ("garage", "kitchen")]


def test_arrows_make_a_digraph(tmp_path: Path) -> None:
    graph = topologies.from_file(write(tmp_path, "trust.txt", "a -> b\nb -> a\nb -> c\n"))
    assert type(graph) is nx.DiGraph
    assert set(graph.edges) == {("a", "b"), ("b", "a"), ("b", "c")}


def test_json_keeps_the_order_of_its_nodes(tmp_path: Path) -> None:
    content = {"directed": True, "nodes": ["c", "a", 7], "edges": [["a", "c"], ["c", 7]]}
    graph = topologies.from_file(write(tmp_path, "g.json", json.dumps(content)))
    assert list(graph) == ["c", "a", "7"]
    assert set(graph.edges) == {("a", "c"), ("c", "7")}
    assert list(topologies.from_file(write(tmp_path, "h.json", '{"edges": [["x", "y"]]}'))) == ["x", "y"]


@pytest.mark.parametrize("directed", [False, True])
def test_what_networkx_writes_is_read_back(tmp_path: Path, directed: bool) -> None:
    graph = topologies.one_way_trust(7, 2) if directed else topologies.scale_free(7, 2)
    named = nx.relabel_nodes(graph, {i: f"node {i}" for i in graph})
    nx.write_graphml(named, tmp_path / "g.graphml")
    (tmp_path / "g.json").write_text(json.dumps(nx.node_link_data(named, edges="edges")))
    (tmp_path / "old.json").write_text(json.dumps(nx.node_link_data(named, edges="links")))
    for file in ("g.graphml", "g.json", "old.json"):
        read = topologies.from_file(tmp_path / file)
        assert type(read) is type(named)
        assert list(read) == list(named)
        assert set(read.edges) == set(named.edges)


def test_a_disconnected_file_says_its_components(tmp_path: Path) -> None:
    path = write(tmp_path, "parts.edges", "a b\nc d\nd e\n")
    with pytest.raises(ConfigError, match="falls into 2 components") as caught:
        topologies.from_file(path)
    assert caught.value.facts == ("a, b", "c, d, e")
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_a_long_list_of_components_is_cut(tmp_path: Path) -> None:
    lines = [f"hub leaf{i}" for i in range(20)] + [f"a{i} b{i}" for i in range(20)]
    with pytest.raises(ConfigError, match="21 components") as caught:
        topologies.from_file(write(tmp_path, "parts.edges", "\n".join(lines)))
    assert len(caught.value.facts) == 9
    assert caught.value.facts[0].endswith("... (21 nodes)")


def test_a_digraph_needs_to_be_connected_in_one_direction_only(tmp_path: Path) -> None:
    topologies.from_file(write(tmp_path, "g.edges", "a -> b\nc -> b\n"))
    with pytest.raises(ConfigError, match="2 components"):
        topologies.from_file(write(tmp_path, "g.edges", "a -> b\nc -> d\n"))


GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    '<graph edgedefault="undirected">{}</graph></graphml>'
)
PAIR = '<node id="a"/><node id="b"/><edge source="a" target="b"/>'


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("g.png", "a b", "unknown kind of graph file"),
        ("g.edges", "", "no nodes"),
        ("g.edges", "a b 3.5", "not an edge: 'a b 3.5'"),
        ("g.edges", "a ->", "not an edge"),
        ("g.edges", "a b\nb -> c", "both 'a b' and 'a -> b'"),
        ("g.edges", "a a", "'a' to itself"),
        ("g.edges", "a b\nb a", "occurs twice"),
        ("g.edges", b"\xff\xfe\x00", "not UTF-8"),
        ("g.json", "{", "not JSON"),
        ("g.json", "[" * 100_000, "not JSON"),
        ("g.json", "[]", "one JSON object"),
        ("g.json", '{"nodes": ["a"]}', "'edges' is missing"),
        ("g.json", '{"edges": [["a", "b"]], "direct": true}', "unknown key 'direct'"),
        ("g.json", '{"edges": [["a", "b"]], "directed": 1}', "of a wrong type"),
        ("g.json", '{"edges": [["a", "b", 1]]}', "not an edge"),
        ("g.json", '{"edges": [["a", true]]}', "not a name of a node: True"),
        ("g.json", '{"nodes": ["a", "a"], "edges": []}', "node 'a' occurs twice"),
        ("g.json", '{"nodes": ["a"], "edges": [["a", "b"]]}', "not in the list of nodes"),
        ("g.graphml", "<graphml", "not GraphML"),
        ("g.graphml", "<html></html>", "not GraphML|no nodes"),
        ("g.graphml", "<!DOCTYPE x [<!ENTITY a 'b'>]><graphml/>", "document type"),
        ("g.graphml", GRAPHML.format(PAIR + '<edge source="a" target="b"/>'), "occurs twice"),
        ("g.graphml", GRAPHML.format(""), "no nodes"),
    ],
)
def test_a_wrong_file_is_a_config_error_that_says_what_is_wrong(
    tmp_path: Path, name: str, content: str | bytes, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        topologies.from_file(write(tmp_path, name, content))


def test_an_error_in_an_edge_list_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        topologies.from_file(write(tmp_path, "g.edges", "a b\n\nb\n"))
    assert caught.value.where.endswith("g.edges, line 3")
    assert "'a b'" in caught.value.fix


def test_a_missing_file_and_a_folder_are_config_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for name in ("nowhere.json", "folder.json"):
        with pytest.raises(ConfigError, match="cannot read the graph file"):
            topologies.from_file(tmp_path / name)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topologies.files.LARGEST_FILE_BYTES", 10)
    with pytest.raises(ConfigError, match="larger than"):
        topologies.from_file(write(tmp_path, "g.edges", "a b\nb c\nc d\n"))


def test_building_from_a_file_wants_the_number_of_its_nodes(tmp_path: Path) -> None:
    path = str(write(tmp_path, "g.edges", "a b\nb c\n"))
    assert list(topologies.build("file", 3, path=path)) == ["a", "b", "c"]
    with pytest.raises(ConfigError, match="the graph has 3 nodes, not 5"):
        topologies.build("file", 5, path=path)
