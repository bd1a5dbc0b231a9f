"""Graphs over members who come and go."""

from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import topologies
from p2pfl.errors import ConfigError
from topologies.members import rings

rosters = st.sets(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=40)
degrees = st.sampled_from([2, 4, 6])
seeds = st.integers(0, 2**32 - 1)


def edge_set(graph: nx.Graph) -> set[frozenset[str]]:
    return {frozenset(edge) for edge in graph.edges}


def edges_shared_by_rings(graph: nx.Graph, degree: int) -> int:
    """How many edges are missing because two rings share them."""
    return len(graph) * degree // 2 - len(edge_set(graph))


@given(rosters, degrees, seeds)
def test_a_partial_mesh_of_members_is_connected_and_of_bounded_degree(
    members: set[str], degree: int, seed: int
) -> None:
    graph = topologies.for_members("partial_mesh", members, seed, degree=degree)
    assert set(graph) == members
    assert nx.is_connected(graph)
    neighbours = [d for _, d in graph.degree()]
    assert max(neighbours) <= min(degree, len(members) - 1)
    assert min(neighbours) >= min(2, len(members) - 1)


@given(rosters, st.text("xyz", min_size=1, max_size=4), degrees, seeds)
def test_who_joins_or_leaves_changes_only_the_edges_beside(
    members: set[str], newcomer: str, degree: int, seed: int
) -> None:
    before = edge_set(topologies.for_members("partial_mesh", members, seed, degree=degree))
    after = edge_set(topologies.for_members("partial_mesh", members | {newcomer}, seed, degree=degree))
    assert len(before - after) <= degree // 2  # one opened edge per ring
    assert all(newcomer in edge for edge in after - before)


def test_nearly_all_members_of_a_larger_partial_mesh_have_the_full_degree() -> None:
    for seed in range(10):
        graph = topologies.for_members("partial_mesh", [f"{i:05d}" for i in range(200)], seed, degree=6)
        assert edges_shared_by_rings(graph, 6) <= 15  # 6 expected: 2 for each pair of rings
        assert sum(d == 6 for _, d in graph.degree()) >= 170


def test_members_and_seed_determine_the_rings() -> None:
    members = [f"{i:05d}" for i in range(12)]
    assert edge_set(rings(members, 4, 1)) == edge_set(rings(members[::-1], 4, 1))
    assert edge_set(rings(members, 4, 1)) != edge_set(rings(members, 4, 2))


def test_the_rings_stay_what_they_are_between_versions() -> None:
    """Daemons of different versions build the same graph: the hash order is part of the contract."""
    assert edge_set(rings(["a", "b", "c", "d", "e"], 2, 7)) == {
        frozenset(pair) for pair in ("ac", "ae", "bc", "bd", "de")
    }


def test_a_family_that_does_not_exist_for_the_number_of_members_becomes_rings() -> None:
    members = [f"{i:05d}" for i in range(13)]
    for name, degree in (("torus", 4), ("hypercube", 4)):
        assert edge_set(topologies.for_members(name, members, 3)) == edge_set(rings(members, degree, 3))
    few = members[:3]
    assert edge_set(topologies.for_members("small_world", few, k=6)) == edge_set(rings(few, 6))
    assert edge_set(topologies.for_members("scale_free", few, m=3)) == edge_set(rings(few, 6))
    assert edge_set(topologies.for_members("one_way_trust", few, out_degree=3)) == edge_set(rings(few, 4))
    assert edge_set(topologies.for_members("erdos_renyi", members, p=0.0)) == edge_set(rings(members, 2))


def test_an_odd_degree_is_refused_at_the_start() -> None:
    for n in (None, 10):
        with pytest.raises(ConfigError, match=r"must be even .* found 3") as caught:
            topologies.check("partial_mesh", n, degree=3)
        assert caught.value.fix == "degree = 2 or 4"


def test_the_check_at_the_start_refuses_sizes_that_do_not_exist() -> None:
    topologies.check("torus", 12)
    topologies.check("torus")
    with pytest.raises(topologies.SizeError):
        topologies.check("torus", 13)
    with pytest.raises(topologies.SizeError):
        topologies.check("partial_mesh", 4, degree=4)


def test_nobody_has_no_graph() -> None:
    with pytest.raises(ConfigError, match="at least one member"):
        topologies.for_members("ring", [])


@pytest.fixture
def line_file(tmp_path: Path) -> str:
    path = tmp_path / "line.edges"
    path.write_text("kitchen garage\ngarage attic\nattic van\n")
    return str(path)


def test_a_graph_from_a_file_joins_members_by_the_names_it_gives_them(line_file: str) -> None:
    names = {"ID-1": "attic", "ID-2": "kitchen", "ID-3": "garage"}
    graph = topologies.for_members("file", ["ID-1", "ID-2", "ID-3"], path=line_file, names=names)
    assert list(graph) == ["ID-2", "ID-3", "ID-1"]  # the file's order
    assert edge_set(graph) == {frozenset(("ID-2", "ID-3")), frozenset(("ID-3", "ID-1"))}


def test_an_absent_member_leaves_a_gap_and_a_stranger_stays_alone(line_file: str) -> None:
    graph = topologies.for_members("file", ["kitchen", "attic", "van", "stranger"], path=line_file)
    assert list(graph) == ["kitchen", "attic", "van", "stranger"]
    assert edge_set(graph) == {frozenset(("attic", "van"))}
    weights = topologies.static(graph).weights(0)
    assert weights[0, 0] == weights[3, 3] == 1.0


def test_two_members_of_one_name_share_no_place(line_file: str) -> None:
    names = {"ID-1": "attic", "ID-2": "attic"}
    graph = topologies.for_members("file", ["ID-1", "ID-2", "van"], path=line_file, names=names)
    assert edge_set(graph) == {frozenset(("ID-1", "van"))}


def test_a_one_way_file_stays_one_way(tmp_path: Path) -> None:
    path = tmp_path / "trust.edges"
    path.write_text("a -> b\nb -> c\n")
    graph = topologies.for_members("file", ["a", "b", "c"], path=str(path))
    assert set(graph.edges) == {("a", "b"), ("b", "c")}


def test_the_check_reads_the_file_and_the_names(line_file: str) -> None:
    topologies.check("file", 5, path=line_file, names={"ID-1": "attic"})
    with pytest.raises(ConfigError, match="names must be a table"):
        topologies.check("file", 5, path=line_file, names=["attic"])
    with pytest.raises(ConfigError, match="cannot read"):
        topologies.check("file", 5, path=line_file + ".edges")
    with pytest.raises(ConfigError, match="path of the graph file is missing"):
        topologies.check("file", 5)
