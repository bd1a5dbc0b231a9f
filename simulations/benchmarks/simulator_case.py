"""One measurement in a process of its own, so that its peak memory is its own.

``python -m simulations.benchmarks.simulator_case ENGINE MODEL NODES ROUNDS`` prints one JSON object.
ENGINE ``messages`` is the event engine without training and with models of one parameter.
"""

import json
import resource
import sys
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.benchmarks.simulator_work import DEGREE, SEED, seconds_of_engine, seconds_of_loop
from simulations.event_simulator import EventSimulator
from simulations.swarm import make_swarm, member_ids
from simulations.training import add_one, by_function

THREADS = 2
LOOPS = ("loop", "lean loop")


def measure_messages(nodes: int, rounds: int) -> dict[str, float | int]:
    """Time per message that the event engine needs for itself: heap, links, nodes, protocol."""
    start = Model(np.zeros(1, np.float32))
    swarm = make_swarm(
        member_ids(nodes),
        topologies.static(topologies.partial_mesh(nodes, DEGREE, SEED), sparse=True),
        GossipAveraging,
        models=dict.fromkeys(member_ids(nodes), start),
        rounds=rounds,
        aggregate=lambda models, weights: aggregate(mean, models, weights),
    )
    simulator = EventSimulator(swarm, train=by_function(add_one))
    start_s = perf_counter()
    simulator.run()
    return {"seconds": perf_counter() - start_s, "messages": sum(simulator.message_counts.values())}


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    engine, model = arguments[:2]
    nodes, rounds = map(int, arguments[2:])
    torch.set_num_threads(THREADS)
    if engine == "messages":
        found = measure_messages(nodes, rounds)
    elif engine in LOOPS:
        found = {"seconds": seconds_of_loop(model, nodes, rounds=rounds, is_lean=engine == "lean loop")}
    else:
        found = {"seconds": seconds_of_engine(engine, model, nodes, rounds=rounds)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**found, "peak_memory_bytes": peak * (1 if sys.platform == "darwin" else 1024)}))


if __name__ == "__main__":
    main(sys.argv[1:])
