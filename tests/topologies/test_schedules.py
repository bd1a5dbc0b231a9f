import numpy as np

import topologies
from topologies import mixing
from topologies.eigenvalues import dense
from topologies.schedules import Schedule


def test_a_static_schedule_gives_the_same_graph_and_weights_in_every_round() -> None:
    graph = topologies.ring(5)
    schedule: Schedule = topologies.static(graph)
    assert schedule.graph(0) is schedule.graph(99) is graph
    assert (schedule.weights(0) == mixing.metropolis_weights(graph)).all()
    assert schedule.weights(7) is schedule.weights(0)


def test_a_static_schedule_on_a_digraph_has_receive_weights_and_may_be_sparse() -> None:
    graph = topologies.one_way_trust(6, 2)
    weights = topologies.static(graph, sparse=True).weights(3)
    assert not isinstance(weights, np.ndarray)
    assert weights.format == "csr"
    assert np.allclose(dense(weights), mixing.receive_weights(graph))
