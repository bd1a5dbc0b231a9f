"""Golden traces: what every registered protocol does, event by event, on a perfect and on a lossy network.

Compared exactly by ``test_golden_traces``; written anew, after a change that is meant, by
``python -m tests.traces.golden``.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

import topologies
from p2pfl import registry
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.traces import Trace
from simulations.training import add_one, by_function
from tests.simulations.swarms import many_models_swarm

FOLDER = Path(__file__).parent
NODES = 4
SEED = 20
NETWORKS = {
    "perfect": Network(),
    "lossy": Network(latency_s=0.05, jitter_s=0.1, loss=0.15, duplicate=0.1),
}


def trace_of(protocol: str, network: str) -> str:
    """The trace of a short run on a ring of four; on the lossy network one node crashes and comes back."""
    make = cast(Callable[[Setup], ExchangeProtocol], registry.resolve("protocol", protocol))
    starts = np.arange(NODES, dtype=np.float32)[:, np.newaxis]
    rounds = 4 if protocol == "gossip_averaging" else 2 * NODES
    swarm = many_models_swarm(topologies.ring(NODES), make, starts, rounds=rounds, seed=SEED)
    trace = Trace()
    simulator = EventSimulator(
        swarm, train=by_function(add_one), network=NETWORKS[network], seed=SEED, trace=trace
    )
    if network == "lossy":
        simulator.crash("00002", at_s=2.5)
        simulator.restart("00002", at_s=4.0)
    simulator.run(until_s=600.0)
    return "\n".join([*trace.lines, f"messages {sum(simulator.message_counts.values())}", ""])


def file_of(protocol: str, network: str) -> Path:
    """Where a golden trace lies."""
    return FOLDER / f"{protocol}.{network}.txt"


def write_all() -> None:
    """Write every golden trace anew."""
    for protocol in registry.names("protocol"):
        for network in NETWORKS:
            file_of(protocol, network).write_text(trace_of(protocol, network), "utf-8")
            sys.stdout.write(f"{file_of(protocol, network).name}\n")


if __name__ == "__main__":
    write_all()
