from pathlib import Path

from node_daemon.assembly import node_number, wiring_factory
from node_daemon.sections import Settings

EDGES = '{"directed": true, "nodes": ["n1", "n0", "n2"], "edges": [["n0", "n1"], ["n1", "n2"], ["n2", "n0"]]}'


def settings(**topology: object) -> Settings:
    return Settings.model_validate({"topology": topology, "node": {"name": "n0"}})


def test_a_family_is_wired_over_whoever_is_there() -> None:
    wiring = wiring_factory(settings(name="ring"))

    assert wiring({"c": "C", "a": "A", "b": "B"}).members == ("a", "b", "c")
    assert wiring({"a": "A"}).neighbourhood(0, "a").send_to == ()


def test_a_graph_file_is_read_once_and_names_its_nodes_by_node_name(tmp_path: Path) -> None:
    file = tmp_path / "graph.json"
    file.write_text(EDGES)
    wiring = wiring_factory(settings(name="file", path=str(file)))
    file.unlink()

    graph = wiring({"id-a": "n0", "id-b": "n1", "id-c": "n2"})

    assert graph.members == ("id-b", "id-a", "id-c")  # the order of the file
    assert graph.neighbourhood(0, "id-a").send_to == ("id-b",)
    assert set(graph.neighbourhood(0, "id-a").receive_weights) == {"id-c"}


def test_a_node_number_is_as_configured_or_follows_from_the_id() -> None:
    given = Settings.model_validate({"node": {"number": 7}})

    assert node_number(given, "anybody") == 7
    assert node_number(Settings(), "a") == node_number(Settings(), "a") != node_number(Settings(), "b")
    assert 0 <= node_number(Settings(), "a") < 2**32
