"""What holds for every family of graphs, tested over the table."""

import networkx as nx
import numpy as np
import pytest

import topologies
from p2pfl.errors import ConfigError
from topologies import mixing
from topologies.eigenvalues import dense

NAMES = sorted(set(topologies.FAMILIES) - {"file"})
ONE_WAY = {"exponential", "one_way_ring", "one_way_trust"}
SIZES = (1, 2, 3, 5, 7, 8, 12, 16, 25)

# name -> degrees (of a digraph: out-degrees) of the graph with 16 nodes and default options
DEGREES_OF_16 = {
    "exponential": [4] * 16,
    "full_mesh": [15] * 16,
    "hierarchy": [1] * 8 + [2] * 2 + [3] * 6,
    "hypercube": [4] * 16,
    "line": [1] * 2 + [2] * 14,
    "one_way_ring": [1] * 16,
    "one_way_trust": [2] * 16,
    "partial_mesh": [4] * 16,
    "ring": [2] * 16,
    "star": [1] * 15 + [15],
    "torus": [4] * 16,
}
EDGES_OF_16 = {"small_world": 16 * 4 // 2, "scale_free": 2 * (16 - 2)}
WRONG_OPTIONS: dict[str, dict[str, object]] = {
    "erdos_renyi": {"p": 1.5},
    "hierarchy": {"branching": 0},
    "one_way_trust": {"out_degree": 2.0},
    "partial_mesh": {"degree": "4"},
    "scale_free": {"m": 0},
    "small_world": {"k": 3},
    "torus": {"rows": 1},
}


def graphs(name: str) -> list[nx.Graph]:
    """The family's graphs of those sizes for which it exists."""
    made = []
    for n in SIZES:
        try:
            made.append(topologies.build(name, n, seed=3))
        except topologies.SizeError:
            continue
    assert len(made) >= 3
    return made


def identical(a: nx.Graph, b: nx.Graph) -> bool:
    """Equal down to the order of nodes and edges."""
    return (a.is_directed(), list(a), list(a.edges)) == (b.is_directed(), list(b), list(b.edges))


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_is_plain_connected_and_numbered_from_zero(name: str) -> None:
    for graph in graphs(name):
        assert type(graph) is (nx.DiGraph if name in ONE_WAY else nx.Graph)
        assert list(graph) == list(range(len(graph)))
        assert nx.number_of_selfloops(graph) == 0
        assert not any(data for _, _, data in graph.edges(data=True))
        assert nx.is_strongly_connected(graph) if name in ONE_WAY else nx.is_connected(graph)


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_identical_graphs_and_only_random_families_follow_the_seed(name: str) -> None:
    family = next(each for each in topologies.families() if each.name == name)
    one, same, other = (topologies.build(name, 16, seed=seed) for seed in (5, 5, 6))
    assert identical(one, same)
    assert identical(one, other) is not family.is_random


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_nodes_have_the_promised_degrees(name: str) -> None:
    graph = topologies.build(name, 16, seed=2)
    if name in DEGREES_OF_16:
        degree = graph.out_degree() if name in ONE_WAY else graph.degree()
        assert sorted(d for _, d in degree) == DEGREES_OF_16[name]
    else:
        likely = 16 * 15 / 2 * (2 * np.log(16) / 16)
        assert abs(graph.number_of_edges() - EDGES_OF_16.get(name, likely)) <= (name not in EDGES_OF_16) * 15


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_received_and_columns_of_pushed_weights_sum_to_one(name: str) -> None:
    for graph in graphs(name):
        receive, push = mixing.receive_weights(graph), mixing.push_weights(graph)
        assert np.allclose(receive.sum(axis=1), 1, atol=1e-14)
        assert np.allclose(push.sum(axis=0), 1, atol=1e-14)
        heard = nx.to_numpy_array(graph, nodelist=range(len(graph))).T + np.eye(len(graph))
        for W in (receive, push):
            assert W.dtype == np.float64
            assert ((W > 0) == (heard > 0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_mixing_weights_are_doubly_stochastic_on_graphs_and_sparse_equals_dense(name: str) -> None:
    for graph in graphs(name):
        W = mixing.mixing_weights(graph)
        assert np.allclose(W.sum(axis=1), 1, atol=1e-14)
        if name not in ONE_WAY:
            assert (W.T == W).all()
            assert (W >= 0).all()
        assert (dense(mixing.mixing_weights(graph, sparse=True)) == W).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, -3, 2.5, True, "8", 10**9])
def test_a_number_of_nodes_that_is_none_is_a_config_error(name: str, n: object) -> None:
    with pytest.raises(ConfigError, match="number of nodes"):
        topologies.build(name, n)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(topologies.FAMILIES))
def test_an_unknown_option_is_refused_by_every_entrance(name: str) -> None:
    for call in (topologies.build, topologies.check):
        with pytest.raises(ConfigError, match=f"unknown option of topology '{name}': 'colour'"):
            call(name, 16, colour="red")
    with pytest.raises(ConfigError, match="colour"):
        topologies.for_members(name, ["a", "b"], colour="red")


@pytest.mark.parametrize("name", sorted(WRONG_OPTIONS))
def test_a_wrong_option_is_refused_whatever_the_number_of_nodes(name: str) -> None:
    (option, value), *_ = WRONG_OPTIONS[name].items()
    for n in (None, 1, 16):
        with pytest.raises(ConfigError, match=f"{option} .*{value!r}") as caught:
            topologies.check(name, n, 0, **WRONG_OPTIONS[name])
        assert not isinstance(caught.value, topologies.SizeError)


@pytest.mark.parametrize("name", NAMES)
def test_a_size_that_does_not_exist_is_refused_with_sizes_that_do(name: str) -> None:
    for n in SIZES:
        if n in {len(graph) for graph in graphs(name)}:
            topologies.check(name, n)
            continue
        with pytest.raises(topologies.SizeError, match=rf"\b{n}\b") as caught:
            topologies.check(name, n)
        assert caught.value.fix


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_members_has_a_connected_graph_over_their_ids(name: str) -> None:
    for count in range(1, 20):
        members = [f"node-{i * 7 % 23:02d}" for i in range(count)]
        graph = topologies.for_members(name, members, seed=4)
        assert list(graph) == sorted(members)
        assert nx.is_strongly_connected(graph) if graph.is_directed() else nx.is_connected(graph)
        assert identical(graph, topologies.for_members(name, members[::-1], seed=4))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"partial_mesh"}))
def test_members_stand_at_the_numbered_nodes_in_sorted_order(name: str) -> None:
    numbered = topologies.build(name, 16, seed=4)
    named = topologies.for_members(name, [f"{i:05d}" for i in range(16)], seed=4)
    assert [(int(u), int(v)) for u, v in named.edges] == list(numbered.edges)


def test_each_family_says_in_one_line_what_it_is_for() -> None:
    listed = topologies.families()
    assert [family.name for family in listed] == sorted(topologies.FAMILIES)
    for family in listed:
        assert 20 < len(family.purpose) <= 110
        assert "``" not in family.purpose
