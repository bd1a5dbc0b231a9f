import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse

from p2pfl.errors import ConfigError
from p2pfl.events import Neighbourhood
from p2pfl.roster import KEPT_ROUNDS, GraphWiring


class Constant:
    def __init__(self, weights: np.ndarray | sparse.csr_array) -> None:
        self._weights = weights

    def weights(self, round: int) -> np.ndarray | sparse.csr_array:
        return self._weights


class Shifting:
    """In round t node i hears node i + 1 + t mod 3."""

    def __init__(self) -> None:
        self.asked = 0

    def weights(self, round: int) -> np.ndarray:
        self.asked += 1
        shift = 1 + round % 2
        return 0.5 * np.eye(3) + 0.5 * np.roll(np.eye(3), shift, axis=1)


ONE_WAY = np.array([[0.5, 0.0, 0.5], [0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])


@pytest.mark.parametrize("weights", [ONE_WAY, sparse.csr_array(ONE_WAY)], ids=["dense", "sparse"])
def test_a_row_is_what_a_node_receives_and_a_column_is_whom_it_sends_to(
    weights: np.ndarray | sparse.csr_array,
) -> None:
    wiring = GraphWiring("abc", Constant(weights))

    assert wiring.neighbourhood(0, "a") == Neighbourhood(("b",), {"c": 0.5}, 0.5)
    assert wiring.neighbourhood(7, "b") == Neighbourhood(("c",), {"a": 0.25}, 0.75)
    assert wiring.neighbourhood(0, "c") == Neighbourhood(("a",), {"b": 0.5}, 0.5)


def test_a_stranger_has_an_empty_neighbourhood() -> None:
    wiring = GraphWiring("abc", Constant(ONE_WAY))

    assert wiring.neighbourhood(0, "x") == Neighbourhood((), {}, 1.0)


def test_a_constant_graph_is_analysed_once() -> None:
    wiring = GraphWiring("abc", Constant(ONE_WAY))

    assert wiring.neighbourhood(0, "a") is wiring.neighbourhood(99, "a")


def test_a_time_varying_graph_is_asked_once_per_round_and_forgets_old_rounds() -> None:
    schedule = Shifting()
    wiring = GraphWiring("abc", schedule)

    senders = [set(wiring.neighbourhood(t, me).receive_weights) for t in range(2) for me in "abc"]

    assert senders == [{"b"}, {"c"}, {"a"}, {"c"}, {"a"}, {"b"}]
    assert schedule.asked == 2
    for t in range(2 * KEPT_ROUNDS):
        wiring.neighbourhood(t, "a")
    assert wiring.neighbourhood(0, "a").receive_weights == {"b": 0.5}


def test_two_threads_may_look_at_a_graph_at_once() -> None:
    """The node's own thread, round by round, and the event loop, which is asked for the status."""
    wiring = GraphWiring("abc", Constant(ONE_WAY))
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            walks = [threads.submit(_walk, wiring, range(first, 10_000)) for first in (0, 1)]
        assert [walk.result() for walk in walks] == [{"c"}, {"c"}]
    finally:
        sys.setswitchinterval(switch_s)


def _walk(wiring: GraphWiring, rounds: range) -> set[str]:
    return {sender for t in rounds for sender in wiring.neighbourhood(t, "a").receive_weights}


def test_a_member_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        GraphWiring("aba", Constant(ONE_WAY))
