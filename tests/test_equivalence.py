"""What you simulate is what you deploy: the drivers of one protocol give the same models, to the byte.

Peers over the memory transport = event simulator = arrays; on a ring, models move along ring edges only.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

import topologies
from p2pfl.protocols.cyclic_pass import CyclicPass
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.protocols.random_walk import RandomWalk
from simulations import Experiment
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.swarm import member_ids
from simulations.training import add_one, by_function
from tests.p2pfl.peer.crowd import Crowd
from tests.simulations.swarms import many_models_swarm

NODES = 5
GRAPHS = {
    "ring": topologies.ring(9),
    "partial mesh": topologies.partial_mesh(10, degree=4, seed=1),
    "irregular": topologies.scale_free(11, m=2, seed=3),
    "one-way": topologies.one_way_trust(8, out_degree=2, seed=2),
}
PROTOCOLS: Mapping[str, Callable[..., ExchangeProtocol]] = {
    "gossip_averaging": GossipAveraging,
    "cyclic_pass": CyclicPass,
    "random_walk": RandomWalk,
}


async def models_of_peers(protocol: str, rounds: int) -> list[bytes]:
    crowd = Crowd(
        topology="ring", rounds=rounds, members=NODES, parameters=2, make_protocol=PROTOCOLS[protocol]
    )
    members = [crowd.member(name, number) for number, name in enumerate(member_ids(NODES))]
    for member in members:
        member.start()
    for member in members:
        await member.until("run.finished")
    found = [member.peer.model.params.tobytes() for member in members]
    for member in members:
        await member.stop()
    return found


@pytest.mark.parametrize(
    ("protocol", "rounds"), [("gossip_averaging", 12), ("cyclic_pass", 15), ("random_walk", 15)]
)
async def test_peers_over_the_memory_transport_are_the_event_simulator(protocol: str, rounds: int) -> None:
    starts = np.repeat(np.arange(NODES, dtype=np.float32)[:, np.newaxis], 2, axis=1)
    swarm = many_models_swarm(topologies.ring(NODES), PROTOCOLS[protocol], starts, rounds=rounds)
    simulator = EventSimulator(swarm, train=by_function(add_one))
    simulator.run()
    simulated = [simulator.models[member].params.tobytes() for member in member_ids(NODES)]
    assert await models_of_peers(protocol, rounds) == simulated


@pytest.mark.parametrize("graph", GRAPHS)
def test_averaging_in_the_event_simulator_is_the_recursion_on_arrays(graph: str) -> None:
    event, vectorised = (
        Experiment(
            topology=GRAPHS[graph], task="digits_softmax", rounds=20, seed=4, engine=engine, evaluate_every=20
        ).run()
        for engine in ("event", "vectorised")
    )
    assert event.models.tobytes() == vectorised.models.tobytes()
    assert event.final_accuracy == vectorised.final_accuracy
    assert (event.messages_sent, event.bytes_sent) == (vectorised.messages_sent, vectorised.bytes_sent)
    assert event.consensus_distance > 0


def test_the_default_task_gives_the_same_bytes_in_both_engines() -> None:
    event, vectorised = (
        Experiment(nodes=NODES, rounds=4, engine=engine, evaluate_every=0).run()
        for engine in ("event", "vectorised")
    )
    assert event.models.tobytes() == vectorised.models.tobytes()


@pytest.mark.parametrize(
    "protocol",
    [
        {"name": "cyclic_pass"},
        {"name": "cyclic_pass", "order": "permutation"},
        {"name": "random_walk"},
        {"name": "random_walk", "rule": "uniform"},
    ],
    ids=lambda protocol: "-".join(protocol.values()),
)
@pytest.mark.parametrize("graph", ["ring", "irregular"])
def test_tokens_visit_the_same_nodes_in_both_engines(graph: str, protocol: dict[str, str]) -> None:
    event, vectorised = (
        Experiment(
            topology=GRAPHS[graph], protocol=protocol, task="digits_softmax", rounds=40, seed=4, engine=engine
        ).run()
        for engine in ("event", "vectorised")
    )
    visits = [(row.node, row.round, row.accuracy) for row in vectorised.accuracy]
    assert [(row.node, row.round, row.accuracy) for row in event.accuracy][:40] == visits
    assert event.models.tobytes() == vectorised.models.tobytes()
    if graph == "ring":  # elsewhere the last lap may make a detour
        assert (event.messages_sent, event.bytes_sent) == (vectorised.messages_sent, vectorised.bytes_sent)


def test_latency_changes_when_and_not_what() -> None:
    def models(network: Network) -> bytes:
        result = Experiment(
            topology=GRAPHS["irregular"], task="digits_softmax", rounds=8, network=network, evaluate_every=0
        ).run()
        return result.models.tobytes()

    slow = Network(latency_s=0.2, jitter_s=0.5, duplicate=0.3, bandwidth_bps=1e6)
    assert models(Network()) == models(slow)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [("gossip_averaging", {}), ("cyclic_pass", {"order": "permutation"}), ("random_walk", {})],
)
def test_on_a_ring_models_move_along_ring_edges_only_though_all_are_linked(
    protocol: str, options: dict[str, str]
) -> None:
    def make(setup: Setup) -> ExchangeProtocol:
        return PROTOCOLS[protocol](setup, **options)

    ring = topologies.ring(7)
    swarm = many_models_swarm(ring, make, np.zeros((7, 1)), rounds=21)
    assert all(len(linked) == 6 for linked in swarm.links.values())
    simulator = EventSimulator(swarm, train=by_function(add_one))
    simulator.run()
    members = member_ids(7)
    edges = {(members[u], members[v]) for u, v in ring.edges} | {
        (members[v], members[u]) for u, v in ring.edges
    }
    with_model = {pair: size for pair, size in simulator.byte_counts.items() if size}
    assert set(with_model) <= edges
    assert len(with_model) >= 7
    if protocol == "gossip_averaging":
        assert with_model == dict.fromkeys(edges, 21 * 4)
    assert set(simulator.models) == set(members)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["ring", "partial mesh"])
def test_averaging_by_real_daemons_is_the_event_simulator(topology: str) -> None:
    graph = {"ring": topologies.ring(NODES), "partial mesh": GRAPHS["partial mesh"]}[topology]
    event, processes = (
        Experiment(topology=graph, rounds=10, engine=engine).run() for engine in ("event", "processes")
    )
    assert processes.models == pytest.approx(event.models, abs=1e-4)
    assert processes.final_accuracy == pytest.approx(event.final_accuracy, abs=0.01)
    assert (processes.messages_sent, processes.bytes_sent) == (event.messages_sent, event.bytes_sent)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["cyclic_pass", "random_walk"])
@pytest.mark.parametrize("topology", ["ring", "partial mesh"])
def test_tokens_of_real_daemons_visit_the_same_nodes(topology: str, protocol: str) -> None:
    graph = {"ring": topologies.ring(NODES), "partial mesh": GRAPHS["partial mesh"]}[topology]
    event, processes = (
        Experiment(topology=graph, protocol=protocol, rounds=30, engine=engine).run()
        for engine in ("event", "processes")
    )
    visits = [
        sorted({(row.round, row.node) for row in found.accuracy if row.round < 30})  # all end with the last
        for found in (event, processes)
    ]
    assert visits[0] == visits[1]
    assert [done for done, _ in visits[0]] == list(range(1, 30))
    assert processes.models == pytest.approx(event.models, abs=1e-4)
