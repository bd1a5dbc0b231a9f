import numpy as np
import pytest

import topologies
from simulations.scenarios.consensus_contraction import FACTOR, NODES, contraction, graphs


def check(name: str, rounds: int) -> None:
    W = np.asarray(topologies.mixing_weights(graphs()[name]))
    factor, more = contraction(W, rounds)
    predicted = topologies.rounds_to_consensus(W, FACTOR)

    assert factor == pytest.approx(topologies.slem(W), abs=1e-6)
    assert predicted is not None
    assert abs(more - predicted) <= 1


@pytest.mark.parametrize("name", ["torus", "exponential", "full_mesh"])
def test_the_measured_contraction_is_the_second_eigenvalue(name: str) -> None:
    check(name, 600)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(graphs()))
def test_it_is_also_on_graphs_that_take_thousands_of_rounds(name: str) -> None:
    check(name, 4000)


def test_the_sum_of_the_values_is_no_disagreement() -> None:
    ring = topologies.mixing_weights(topologies.ring(NODES))
    assert contraction(np.full((NODES, NODES), 1 / NODES), 3) == (0.0, 1)
    assert contraction(np.asarray(ring), 50)[0] < 1
