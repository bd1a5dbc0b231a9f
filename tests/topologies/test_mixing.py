"""Mixing weights of small graphs, by hand, and what every rule refuses."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_allclose

import topologies
from p2pfl.errors import ConfigError
from topologies import mixing
from topologies.eigenvalues import dense

RULES = [
    mixing.metropolis_weights,
    mixing.max_degree_weights,
    mixing.best_constant_weights,
    mixing.receive_weights,
    mixing.push_weights,
]
UNDIRECTED_ONLY = RULES[:3]


def four_node_digraph() -> nx.DiGraph:
    """The example of push-sum: ALGORITHMS.md, section 3.5."""
    return nx.DiGraph([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3), (0, 3)])


def test_metropolis_weights_of_a_star_of_four() -> None:
    W = mixing.metropolis_weights(topologies.star(4))
    assert_allclose(W[0], [0.25, 0.25, 0.25, 0.25])
    assert_allclose(W[1], [0.25, 0.75, 0, 0])


def test_max_degree_weights_of_a_line_of_three() -> None:
    assert_allclose(
        mixing.max_degree_weights(topologies.line(3)),
        np.array([[2, 1, 0], [1, 1, 1], [0, 1, 2]]) / 3,
    )


def test_best_constant_weights_of_a_line_of_three() -> None:
    # Laplacian eigenvalues 0, 1, 3: alpha = 1/2
    W = mixing.best_constant_weights(topologies.line(3))
    assert_allclose(W, np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2, atol=1e-12)


def test_the_receiver_is_the_row() -> None:
    one_way = nx.DiGraph([("sender", "receiver")])
    assert_allclose(mixing.receive_weights(one_way), np.array([[2, 0], [1, 1]]) / 2)
    assert_allclose(mixing.push_weights(one_way), np.array([[1, 0], [1, 2]]) / 2)


def test_receive_weights_need_only_in_degrees_and_push_weights_only_out_degrees() -> None:
    graph = four_node_digraph()
    assert_allclose(np.diag(mixing.receive_weights(graph)), [1 / 2, 1 / 2, 1 / 3, 1 / 4])
    assert_allclose(np.diag(mixing.push_weights(graph)), [1 / 4, 1 / 3, 1 / 2, 1 / 2])


@pytest.mark.parametrize("rule", RULES)
def test_rows_follow_the_order_of_the_nodes_of_the_graph(rule: Callable[..., mixing.Matrix]) -> None:
    graph = topologies.scale_free(12, 2, seed=3)
    order = list(np.random.default_rng(1).permutation(12))
    shuffled = nx.Graph()
    shuffled.add_nodes_from(order)
    shuffled.add_edges_from(graph.edges)
    assert_allclose(rule(shuffled), rule(graph)[np.ix_(order, order)], atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_self_loops_weights_and_parallel_edges_count_for_nothing(rule: Callable[..., mixing.Matrix]) -> None:
    plain = topologies.line(4)
    marked = nx.MultiGraph(plain)
    marked.add_edge(0, 0)
    marked.add_edge(1, 2, weight=7.5)
    assert_allclose(rule(marked), rule(plain), atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_sparse_weights_equal_dense_ones(rule: Callable[..., mixing.Matrix]) -> None:
    graph = topologies.small_world(40, 4, 0.2, seed=1)
    sparse = rule(graph, sparse=True)
    assert not isinstance(sparse, np.ndarray)
    assert sparse.format == "csr"
    assert (dense(sparse) == rule(graph)).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_node_alone_keeps_its_model(rule: Callable[..., mixing.Matrix]) -> None:
    assert_allclose(rule(topologies.ring(1)), [[1.0]])
    lonely = topologies.ring(4)
    lonely.add_node(4)
    assert_allclose(rule(lonely)[4], [0, 0, 0, 0, 1])


@pytest.mark.parametrize("rule", RULES)
def test_a_graph_without_nodes_is_refused(rule: Callable[..., mixing.Matrix]) -> None:
    with pytest.raises(ConfigError, match="no nodes"):
        rule(nx.Graph())


@pytest.mark.parametrize("rule", UNDIRECTED_ONLY)
def test_symmetric_weights_of_a_digraph_are_refused_with_what_would_work(
    rule: Callable[..., mixing.Matrix],
) -> None:
    with pytest.raises(ConfigError, match=f"{rule.__name__} needs an undirected graph") as caught:
        rule(topologies.one_way_ring(4))
    assert "receive_weights" in caught.value.fix


def test_gossip_averaging_takes_metropolis_weights_on_graphs_and_receive_weights_on_digraphs() -> None:
    star, digraph = topologies.star(5), four_node_digraph()
    assert_allclose(mixing.mixing_weights(star), mixing.metropolis_weights(star))
    assert_allclose(mixing.mixing_weights(digraph), mixing.receive_weights(digraph))


def test_best_constant_weights_of_a_large_graph_come_from_the_sparse_routines() -> None:
    W = mixing.best_constant_weights(topologies.hypercube(12), sparse=True)
    assert_allclose(W[0, 1], 2 / (2 + 24), atol=1e-9)  # Laplacian eigenvalues 0, 2, ..., 24


def test_a_missing_message_of_oneself_changes_nothing() -> None:
    W = mixing.metropolis_weights(topologies.ring(5))
    assert (mixing.without_messages(W, np.eye(5, dtype=bool)) == W).all()
    assert_allclose(mixing.without_messages(W, np.ones((5, 5), dtype=bool)), np.eye(5))
