"""A schedule of the caller's own is looked at before anything is trained."""

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

import topologies
from p2pfl.errors import ConfigError
from simulations import Experiment
from simulations.schedule_check import check_schedule

NODES = 4


def one_edge(done: int) -> nx.Graph:
    """The path over all nodes, an edge per round."""
    graph = nx.empty_graph(NODES)
    graph.add_edge(done % (NODES - 1), done % (NODES - 1) + 1)
    return graph


def growing(done: int) -> nx.Graph:
    return nx.path_graph(NODES + (done > 1))


def identity(_: int) -> NDArray[np.float64]:
    return np.eye(NODES)


@dataclass(frozen=True, slots=True)
class Own:
    """A schedule of two functions."""

    graph: Callable[[int], nx.Graph] = one_edge
    weights: Callable[[int], NDArray[np.float64]] = identity


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Own(lambda _: one_edge(0)), "disconnected: 3 parts, in all 5 rounds together"),
        (Own(growing), "the graph of round 2 has other nodes"),
        (Own(weights=lambda done: np.eye(NODES + (done == 3))), r"round 3 have the shape \(5, 5\)"),
        (Own(weights=lambda done: np.eye(NODES) * (0.9 if done == 4 else 1)), "round 4 sums to 0.9, not 1"),
        (Own(weights=lambda _: np.full((NODES, NODES), np.nan)), "sums to nan"),
        (Own(weights=lambda _: sparse.csr_array(np.eye(NODES) / 2)), "row 0 .* sums to 0.5"),
    ],
)
def test_what_cannot_be_averaged_with_is_refused(schedule: Own, words: str) -> None:
    settings = {"topology": schedule, "task": "digits_softmax", "rounds": 5}
    with pytest.raises(ConfigError, match=words) as caught:
        Experiment(**settings).setting()  # type: ignore[arg-type]
    assert caught.value.where == "topology"


def test_a_constant_schedule_is_looked_at_too_and_push_sum_asks_for_no_sums() -> None:
    with pytest.raises(ConfigError, match=r"disconnected: 3 parts \(topology\)"):
        check_schedule(topologies.static(one_edge(0)), 5)
    check_schedule(Own(weights=lambda _: np.ones((NODES, NODES))), 5, sums_rows=False)


def test_everybody_alone_is_no_graph_that_falls_apart() -> None:
    check_schedule(topologies.static(nx.empty_graph(NODES)), 5)


def test_graphs_that_connect_all_only_together_will_do_if_the_run_is_long_enough() -> None:
    check_schedule(Own(), NODES - 1)
    with pytest.raises(ConfigError, match="2 parts, in all 2 rounds"):
        check_schedule(Own(), NODES - 2)
