"""Every protocol under every fault: runs end, and the same seed gives the same bytes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import topologies
from p2pfl import registry
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from simulations import Experiment
from simulations.event_simulator import EventSimulator
from simulations.faults import faults_from
from simulations.gossip import Gossip, make_gossip_swarm
from simulations.network import network_from
from simulations.swarm import make_swarm, member_ids
from simulations.traces import Trace
from simulations.training import add_one, by_function

PROTOCOLS = registry.names("protocol")
BAD = {"latency_s": 0.05, "jitter_s": 0.3, "loss": 0.15, "duplicate": 0.1, "reorder": 0.1}
FAULTS: Mapping[str, Mapping[str, object]] = {
    "churn": {"churn": {"up_s": 12.0, "down_s": 4.0, "share": 0.5, "until_s": 60.0}},
    "crash": {"crash": [{"node": 2, "at_s": 3.2, "restart_s": 7.0}]},
    "join and leave": {"join": [{"node": 1, "at_s": 4.0}], "leave": [{"node": 3, "at_s": 6.0}]},
    "partition": {"partition": [{"groups": [[0, 1]], "at_s": 3.0, "heal_s": 70.0}]},
    "one-way": {"partition_oneway": [{"from": [0], "to": [1, 2, 3, 4, 5], "at_s": 3.0, "heal_s": 9.0}]},
}


def simulate(
    protocol: str,
    graph: nx.Graph,
    *,
    faults: Mapping[str, object],
    network: Mapping[str, object],
    seed: int = 0,
    rounds: int = 8,
    gossip: bool = False,
    compute: object = 1.0,
) -> EventSimulator:
    make = cast(Callable[[Setup], ExchangeProtocol], registry.resolve("protocol", protocol))
    return run(make, graph, faults, network=network, seed=seed, rounds=rounds, gossip=gossip, compute=compute)


def run(
    make: Callable[[Setup], ExchangeProtocol],
    graph: nx.Graph,
    faults: Mapping[str, object],
    *,
    network: Mapping[str, object],
    seed: int,
    rounds: int,
    gossip: bool = False,
    compute: object = 1.0,
) -> EventSimulator:
    members = member_ids(len(graph))
    table = faults_from(faults, nodes=len(graph))
    down = frozenset(members[node] for node in table.down)
    make_one = partial(make_gossip_swarm, gossip=Gossip(late=down)) if gossip else make_swarm
    swarm = make_one(
        members,
        topologies.static(graph, sparse=len(graph) > 100),
        make,
        models={member: Model(np.full(2, i, np.float32)) for i, member in enumerate(members)},
        rounds=rounds,
        aggregate=partial(aggregate, mean),
        seed=seed,
    )
    simulator = EventSimulator(
        swarm,
        train=by_function(add_one),
        network=network_from(network),
        seed=seed,
        compute_s=compute,  # type: ignore[arg-type]
        down=down,
        trace=Trace() if len(graph) < 100 else None,
    )
    table.schedule(simulator, seed=seed)
    simulator.run()
    return simulator


@pytest.mark.parametrize(
    ("fault", "gossip"),
    [
        *((fault, False) for fault in FAULTS),
        ("crash", True),
        *(pytest.param(fault, True, marks=pytest.mark.slow) for fault in FAULTS if fault != "crash"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_seed_gives_the_same_bytes_under_every_fault(
    protocol: str, fault: str, gossip: bool
) -> None:
    def one(seed: int) -> tuple[list[str], dict[str, bytes]]:
        compute = {"distribution": "lognormal", "median": 1.0, "sigma": 0.4}
        found = simulate(
            protocol,
            topologies.ring(6),
            faults=FAULTS[fault],
            network=BAD,
            seed=seed,
            gossip=gossip,
            compute=compute,
        )
        return found.trace, {member: model.params.tobytes() for member, model in found.models.items()}

    assert one(3) == one(3)
    assert one(3)[0] != one(4)[0]


@given(
    seed=st.integers(0, 10_000),
    protocol=st.sampled_from(PROTOCOLS),
    nodes=st.integers(3, 12),
    loss=st.floats(0.0, 0.3),
    crash=st.tuples(st.integers(0, 11), st.floats(0.0, 15.0), st.floats(0.1, 30.0)),
)
def test_every_run_ends_on_random_graphs_with_loss_a_crash_and_a_restart(
    seed: int, protocol: str, nodes: int, loss: float, crash: tuple[int, float, float]
) -> None:
    graph = topologies.erdos_renyi(nodes, p=0.5, seed=seed)
    node, at_s, for_s = crash
    faults = {"crash": [{"node": node % nodes, "at_s": at_s, "restart_s": at_s + for_s}]}
    network = {"latency_s": 0.05, "jitter_s": 0.2, "loss": loss, "duplicate": 0.1}
    simulator = simulate(protocol, graph, faults=faults, network=network, seed=seed, rounds=7)
    assert simulator.models
    assert simulator.now_s < 3600
    if protocol != "push_sum":
        assert set(simulator.finished) == set(simulator.members)


def test_an_experiment_has_faults_and_the_engines_that_cannot_say_so() -> None:
    settings = {"task": "digits_softmax", "partition": "iid", "nodes": 5, "rounds": 6, "evaluate_every": 0}
    faults = {"crash": [{"node": 1, "at_s": 2.5, "restart_s": 4.5}]}
    plain, faulty = (Experiment(**settings, faults=each).run() for each in ({}, faults))  # type: ignore[arg-type]
    assert faulty.virtual_seconds is not None
    assert plain.virtual_seconds is not None
    assert faulty.virtual_seconds > plain.virtual_seconds
    assert faulty.models.tobytes() != plain.models.tobytes()
    slow = Experiment(**settings, compute={"seconds": 3.0}, membership="gossip").run()  # type: ignore[arg-type]
    assert slow.virtual_seconds == pytest.approx(18, abs=2)
    for key, value in (("faults", faults), ("compute", 2.0), ("membership", "gossip")):
        with pytest.raises(Exception, match=f"no {key}") as caught:
            Experiment(**settings, engine="vectorised", **{key: value}).run()  # type: ignore[arg-type]
        assert caught.value.where == key  # type: ignore[attr-defined]


@pytest.mark.slow
def test_two_thousand_nodes_finish_with_a_fifth_lost_and_churn() -> None:
    found = run(
        partial(GossipAveraging, round_timeout_s=3.0),
        topologies.partial_mesh(2000, degree=4, seed=1),
        {"churn": {"up_s": 100.0, "down_s": 10.0, "share": 0.5}},
        network={"latency_s": 0.05, "jitter_s": 0.05, "loss": 0.2},
        seed=1,
        rounds=20,
    )
    assert len(found.finished) == 2000
    assert set(found.rounds.values()) == {20}
    assert found.lost / sum(found.message_counts.values()) == pytest.approx(0.2, abs=0.01)


@pytest.mark.slow
def test_twenty_nodes_run_for_twenty_four_hours_with_faults() -> None:
    hours = [hour * 3600.0 for hour in range(2, 24, 4)]
    found = run(
        partial(GossipAveraging, round_timeout_s=10.0),
        topologies.partial_mesh(20, degree=4, seed=1),
        {
            "churn": {"up_s": 7200.0, "down_s": 600.0},
            "partition": [{"groups": [list(range(10))], "at_s": at, "heal_s": at + 300} for at in hours],
        },
        network={"latency_s": 0.05, "jitter_s": 0.05, "loss": 0.02, "duplicate": 0.02, "reorder": 0.02},
        seed=1,
        rounds=2880,
        compute=29.5,
    )
    assert set(found.rounds.values()) == {2880}
    assert 24 * 3600 * 0.95 < found.now_s < 32 * 3600
    assert sum(line.endswith(" down") for line in found.trace) > 100
