"""Push-sum is the same on arrays, in virtual time, over the memory transport and in real daemons."""

import numpy as np
import pytest

import topologies
from p2pfl.protocols.push_sum import PushSum
from simulations import Experiment
from simulations.event_simulator import EventSimulator
from simulations.result import Result
from simulations.swarm import member_ids
from simulations.training import add_one, by_function
from tests.p2pfl.peer.crowd import Crowd
from tests.simulations.swarms import many_models_swarm

NODES = 5
GRAPHS = {
    "ring": topologies.ring(9),
    "irregular": topologies.scale_free(11, m=2, seed=3),
    "one-way": topologies.one_way_trust(13, out_degree=2, seed=2),
}


def run(graph: str, engine: str, **options: str | int) -> Result:
    return Experiment(
        topology=GRAPHS[graph],
        protocol={"name": "push_sum", **options},
        task="digits_softmax",
        rounds=20,
        seed=4,
        engine=engine,
        evaluate_every=20,
    ).run()


@pytest.mark.parametrize("weighting", ["uniform", "samples"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_event_simulator_is_the_recursion_on_arrays(graph: str, weighting: str) -> None:
    event, vectorised = (run(graph, engine, weighting=weighting) for engine in ("event", "vectorised"))
    assert event.models == pytest.approx(vectorised.models, rel=1e-5, abs=1e-6)
    assert event.final_accuracy == pytest.approx(vectorised.final_accuracy, abs=0.002)
    assert event.bytes_sent == vectorised.bytes_sent
    assert event.consensus_distance > 0


def test_exchanges_per_training_and_weights_of_the_rows_change_the_models() -> None:
    found = [run("one-way", "vectorised", **options) for options in ({}, {"mixing_rounds": 4})]
    assert found[1].consensus_distance < 0.5 * found[0].consensus_distance
    assert found[1].bytes_sent == 2 * found[0].bytes_sent
    weighted = run("one-way", "vectorised", weighting="samples")
    assert np.abs(weighted.models - found[0].models).max() > 1e-3


async def models_of_peers(rounds: int) -> list[bytes]:
    crowd = Crowd(topology="ring", rounds=rounds, members=NODES, parameters=2, make_protocol=PushSum)
    members = [crowd.member(name, number) for number, name in enumerate(member_ids(NODES))]
    for member in members:
        member.start()
    for member in members:
        await member.until("run.finished")
    found = [member.peer.model.params.tobytes() for member in members]
    for member in members:
        await member.stop()
    return found


async def test_peers_over_the_memory_transport_are_the_event_simulator() -> None:
    starts = np.repeat(np.arange(NODES, dtype=np.float32)[:, np.newaxis], 2, axis=1)
    swarm = many_models_swarm(topologies.ring(NODES), PushSum, starts, rounds=12)
    simulator = EventSimulator(swarm, train=by_function(add_one))
    simulator.run()
    simulated = [simulator.models[member].params.tobytes() for member in member_ids(NODES)]
    assert await models_of_peers(12) == simulated


def test_along_one_way_edges_totals_move_one_way_and_words_alone_move_back() -> None:
    graph = topologies.one_way_trust(7, out_degree=2, seed=1)
    swarm = many_models_swarm(graph, PushSum, np.zeros((7, 1)), rounds=6)
    simulator = EventSimulator(swarm, train=by_function(add_one))
    simulator.run()
    members = member_ids(7)
    with_totals = {pair: size for pair, size in simulator.byte_counts.items() if size}
    assert with_totals == {(members[u], members[v]): 6 * 2 * 8 for u, v in graph.edges}


@pytest.mark.slow
def test_thirteen_one_way_nodes_with_skewed_data_learn_together_also_under_loss() -> None:
    perfect, lossy = (
        Experiment(
            topology="one_way_trust",
            nodes=13,
            protocol="push_sum",
            partition={"name": "dirichlet", "alpha": 0.3},
            rounds=60,
            network=network,
            evaluate_every=0,
        ).run()
        for network in ({}, {"loss": 0.2})
    )
    assert perfect.final_accuracy > 0.88
    assert abs(lossy.final_accuracy - perfect.final_accuracy) < 0.06


@pytest.mark.slow
def test_four_real_daemons_on_a_one_way_graph_are_the_event_simulator() -> None:
    event, processes = (
        Experiment(
            topology=topologies.one_way_trust(4, out_degree=2, seed=3),
            protocol={"name": "push_sum", "weighting": "samples"},
            task="digits_softmax",
            rounds=10,
            engine=engine,
        ).run()
        for engine in ("event", "processes")
    )
    assert processes.models == pytest.approx(event.models, abs=1e-4)
    assert processes.final_accuracy == pytest.approx(event.final_accuracy, abs=0.01)
