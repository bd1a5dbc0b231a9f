"""What single families promise beyond test_every_topology."""

from itertools import product

import networkx as nx
import pytest

import topologies
from p2pfl.errors import ConfigError


def edges(graph: nx.Graph) -> set[tuple[int, int]]:
    return set(graph.edges)


def test_two_nodes_form_a_ring_of_one_edge_and_one_node_a_ring_of_none() -> None:
    assert edges(topologies.ring(2)) == {(0, 1)}
    assert edges(topologies.ring(1)) == set()
    assert edges(topologies.one_way_ring(2)) == {(0, 1), (1, 0)}


def test_in_a_one_way_ring_each_node_sends_to_the_next() -> None:
    assert edges(topologies.one_way_ring(4)) == {(0, 1), (1, 2), (2, 3), (3, 0)}


@pytest.mark.parametrize(("n", "degree"), [(6, 4), (7, 2), (10, 3), (10, 9), (50, 2), (30, 17), (100, 4)])
def test_a_partial_mesh_is_regular_and_connected_for_every_seed(n: int, degree: int) -> None:
    for seed in range(10):
        graph = topologies.partial_mesh(n, degree=degree, seed=seed)
        assert {d for _, d in graph.degree()} == {degree}
        assert nx.is_connected(graph)


@pytest.mark.parametrize(
    ("n", "degree", "works"),
    [
        (9, 3, "degree 2 or degree 4 or 8 nodes or 10 nodes"),
        (4, 6, "degree 3 or 7 nodes"),
        (6, 1, "degree 2"),
        (5, 5, "degree 4 or 6 nodes"),
        (1, 4, "5 nodes"),
    ],
)
def test_an_impossible_partial_mesh_says_what_would_work(n: int, degree: int, works: str) -> None:
    with pytest.raises(ConfigError) as caught:
        topologies.partial_mesh(n, degree=degree)
    assert caught.value.fix == works


def test_the_suggested_partial_meshes_exist() -> None:
    for n, degree in product(range(1, 10), range(1, 10)):
        try:
            topologies.partial_mesh(n, degree)
        except topologies.SizeError as error:
            for suggestion in error.fix.split(" or "):
                match suggestion.split():
                    case ["degree", better]:
                        topologies.partial_mesh(n, int(better))
                    case [better, "nodes"]:
                        topologies.partial_mesh(int(better), degree)
                    case _:
                        pytest.fail(f"not a suggestion: {error.fix}")


@pytest.mark.parametrize(("n", "out_degree"), [(2, 1), (5, 4), (13, 3), (40, 1), (40, 7)])
def test_one_way_trust_has_exactly_the_out_degree_and_reaches_everyone(n: int, out_degree: int) -> None:
    for seed in range(10):
        graph = topologies.one_way_trust(n, out_degree=out_degree, seed=seed)
        assert {d for _, d in graph.out_degree()} == {out_degree}
        assert nx.is_strongly_connected(graph)


def test_one_way_trust_is_not_mutual_and_its_in_degrees_vary() -> None:
    graph = topologies.one_way_trust(40, out_degree=3, seed=1)
    assert nx.reciprocity(graph) < 0.3
    assert len({d for _, d in graph.in_degree()}) > 2


def test_every_further_edge_of_one_way_trust_is_equally_likely() -> None:
    count: dict[tuple[int, int], int] = {}
    for seed in range(600):
        for edge in topologies.one_way_trust(5, out_degree=2, seed=seed).edges:
            count[edge] = count.get(edge, 0) + 1
    assert len(count) == 20
    assert all(230 < each < 370 for each in count.values())  # 300 expected, five standard deviations


def test_a_hierarchy_is_the_balanced_tree_of_networkx() -> None:
    assert edges(topologies.hierarchy(3, 2)) == edges(nx.balanced_tree(3, 2))
    assert edges(topologies.build("hierarchy", 13, branching=3)) == edges(nx.balanced_tree(3, 2))
    assert edges(topologies.build("hierarchy", 4, branching=1)) == edges(topologies.line(4))


def test_a_torus_is_the_periodic_grid_of_networkx() -> None:
    for rows, columns in ((2, 2), (2, 5), (3, 3), (4, 6)):
        reference = nx.convert_node_labels_to_integers(
            nx.grid_2d_graph(rows, columns, periodic=True), ordering="sorted"
        )
        reference.remove_edges_from(list(nx.selfloop_edges(reference)))
        made = topologies.torus(rows, columns)
        assert {frozenset(edge) for edge in made.edges} == {frozenset(edge) for edge in reference.edges}


def test_a_torus_is_as_near_to_square_as_n_allows_or_has_the_given_side() -> None:
    def sides(n: int, **options: int) -> set[tuple[int, int]]:
        return edges(topologies.build("torus", n, **options))

    assert sides(16) == edges(topologies.torus(4, 4))
    assert sides(12) == edges(topologies.torus(3, 4))
    assert sides(10) == edges(topologies.torus(2, 5))
    assert sides(12, rows=6) == edges(topologies.torus(6, 2))
    assert sides(12, columns=2) == edges(topologies.torus(6, 2))
    assert sides(12, rows=2, columns=6) == edges(topologies.torus(2, 6))


@pytest.mark.parametrize(
    ("n", "options", "what", "works"),
    [
        (13, {}, "no torus has 13 nodes", "12 nodes (3 x 4) or 14 nodes (2 x 7)"),
        (3, {}, "no torus has 3 nodes", "4 nodes (2 x 2)"),
        (
            12,
            {"rows": 5},
            "5 rows and 2 columns has 10 nodes, not 12",
            "10 nodes (2 x 5) or 14 nodes (2 x 7)",
        ),
        (12, {"rows": 3, "columns": 5}, "has 15 nodes, not 12", "10 nodes (2 x 5) or 14 nodes (2 x 7)"),
    ],
)
def test_an_impossible_torus_says_what_would_work(
    n: int, options: dict[str, int], what: str, works: str
) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        topologies.build("torus", n, **options)
    assert caught.value.fix == works


def test_neighbours_in_a_hypercube_differ_in_one_digit() -> None:
    graph = topologies.hypercube(4)
    assert len(graph) == 16
    assert all((u ^ v).bit_count() == 1 for u, v in graph.edges)
    with pytest.raises(ConfigError, match="not 12") as caught:
        topologies.build("hypercube", 12)
    assert caught.value.fix == "8 or 16 nodes"


@pytest.mark.parametrize(
    ("n", "offsets"), [(1, []), (2, [1]), (8, [1, 2, 4]), (9, [1, 2, 4, 8]), (17, [1, 2, 4, 8, 16])]
)
def test_in_the_exponential_graph_each_node_hears_those_powers_of_two_ahead(
    n: int, offsets: list[int]
) -> None:
    graph = topologies.exponential(n)
    for node in graph:
        assert sorted((sender - node) % n for sender in graph.predecessors(node)) == offsets


def test_a_small_world_without_redirection_is_the_lattice_and_with_it_is_not() -> None:
    lattice = {frozenset((i, (i + step) % 20)) for i in range(20) for step in (1, 2)}
    assert {frozenset(edge) for edge in topologies.small_world(20, 4, 0.0).edges} == lattice
    redirected = {frozenset(edge) for edge in topologies.small_world(20, 4, 0.3, seed=1).edges}
    assert 2 <= len(lattice - redirected) <= 22  # 12 of 40 expected
    assert len(redirected) == 40


def test_a_small_world_that_would_fall_apart_is_drawn_again() -> None:
    for seed in range(20):
        assert nx.is_connected(topologies.small_world(30, 2, 0.2, seed=seed))


def test_a_scale_free_graph_has_hubs() -> None:
    degrees = sorted(d for _, d in topologies.scale_free(300, 2, seed=1).degree())
    assert degrees[0] >= 1
    assert degrees[150] <= 3
    assert degrees[-1] > 20


def test_an_erdos_renyi_graph_has_the_requested_density_and_is_connected() -> None:
    graph = topologies.erdos_renyi(200, 0.05, seed=1)
    assert abs(graph.number_of_edges() - 0.05 * 200 * 199 / 2) < 5 * (0.05 * 0.95 * 19900) ** 0.5
    assert nx.is_connected(graph)
    assert topologies.erdos_renyi(7, 1.0).number_of_edges() == 21


def test_an_erdos_renyi_graph_that_cannot_become_connected_says_a_probability_that_does() -> None:
    with pytest.raises(ConfigError, match=r"no connected graph of 50 nodes .* p = 0.01") as caught:
        topologies.erdos_renyi(50, 0.01)
    assert caught.value.fix == "p = 0.16 or more"
    topologies.erdos_renyi(50, 0.16)


def test_a_seed_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed must be a whole number at least 0, found -1"):
        topologies.partial_mesh(10, 4, seed=-1)
