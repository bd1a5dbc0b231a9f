import networkx as nx
import pytest

import topologies
from p2pfl.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "degree", "diameter", "gap", "rounds", "messages"),
    [
        ("ring", 2, 8, "0.051", 133, 32),
        ("torus", 4, 4, "0.400", 14, 64),
        ("full_mesh", 15, 1, "1.000", 1, 240),
    ],
)
def test_the_figures_of_the_comparison_of_sixteen_nodes(
    name: str, degree: int, diameter: int, gap: str, rounds: int, messages: int
) -> None:
    measures = topologies.measure(topologies.build(name, 16))
    assert measures.degree_min == measures.degree_max == measures.degree_mean == degree
    assert measures.diameter == diameter
    assert f"{measures.spectral_gap:.3f}" == gap
    assert measures.rounds_to_consensus == rounds
    assert measures.messages_per_round == messages
    assert measures.is_connected
    assert not measures.is_directed


def test_a_digraph_counts_those_whom_a_node_sends_to() -> None:
    measures = topologies.measure(topologies.one_way_trust(12, 3, seed=1))
    assert measures.degree_min == measures.degree_max == 3
    assert measures.edges == measures.messages_per_round == 36
    assert measures.is_directed


@pytest.mark.parametrize("name", sorted(set(topologies.FAMILIES) - {"file"}))
def test_the_diameter_is_that_of_networkx(name: str) -> None:
    graph = topologies.build(name, 16, seed=3)
    assert topologies.measure(graph).diameter == nx.diameter(graph)


def test_a_graph_in_parts_has_no_diameter_and_never_agrees() -> None:
    measures = topologies.measure(nx.Graph([(0, 1), (2, 3)]))
    assert measures.diameter is None
    assert measures.rounds_to_consensus is None
    assert measures.spectral_gap == 0.0
    assert not measures.is_connected


def test_a_digraph_whose_last_node_is_never_heard_agrees_all_the_same() -> None:
    measures = topologies.measure(nx.DiGraph([(0, 1)]))
    assert not measures.is_connected
    assert measures.diameter is None
    assert measures.rounds_to_consensus == 10  # halved each round: 2^-10 < 1/1000


def test_a_node_alone_is_measured() -> None:
    measures = topologies.measure(topologies.ring(1))
    assert (measures.diameter, measures.rounds_to_consensus, measures.messages_per_round) == (0, 0, 0)


def test_a_graph_without_nodes_is_refused() -> None:
    with pytest.raises(ConfigError, match="no nodes"):
        topologies.measure(nx.Graph())


def test_many_nodes_are_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topologies.analysis.BLOCK_DISTANCES", 300 * 64)
    assert topologies.measure(topologies.ring(300)).diameter == 150
