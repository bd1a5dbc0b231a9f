"""Online learning with one-way trust: is the room occupied?  Twenty sensors, one sample per round and node.

A node is judged on its next sample before it learns from it (batch 1, one step); the regret is that loss,
averaged over nodes and time.  In the first ``beta`` of the stream each node sees only what is alike.
``python -m simulations.scenarios.online_push_sum --data DIR``

Reference: He et al., "Central server free federated learning over single-sided trust social networks", 2019.
Data: Candanedo, Feldheim 2016 (UCI room occupancy, ``datatraining.txt``); features are scaled first.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import topologies
from p2pfl.data.dataset import Samples
from simulations.scenarios.command import show
from simulations.scenarios.data_sets import folder_of
from simulations.scenarios.online_stream import Stream, occupancy, signed_rows
from simulations.scenarios.tables import Table
from simulations.vectorised import gossip_averaging
from simulations.vectorised_push_sum import push_sum

NODES, OUT_DEGREE, SEED = 20, 3, 1
BETAS = (0.0, 0.5, 1.0)
STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def regrets(samples: Samples, beta: float, step: float) -> Mapping[str, float]:
    """The average loss of ways to learn together, or not to.

    ``directed`` averages what a node hears with equal weights; ``symmetric`` uses only links of mutual trust.
    """
    graph = topologies.one_way_trust(NODES, OUT_DEGREE, SEED)
    matrices = {
        "full mesh": np.full((NODES, NODES), 1 / NODES),
        "directed": topologies.receive_weights(graph),
        "symmetric": topologies.metropolis_weights(graph.to_undirected(reciprocal=True)),
        "alone": np.eye(NODES),
    }
    rows = signed_rows(samples, NODES, SEED, beta=beta)
    streams = {name: Stream(rows, step) for name in ("full mesh", "push-sum", *matrices)}
    pushed = streams["push-sum"]
    push_sum(pushed.start, topologies.push_weights(graph), pushed.rounds, train=pushed.train, mixing_rounds=1)
    for name, W in matrices.items():
        gossip_averaging(streams[name].start, W, streams[name].rounds, train=streams[name].train)
    return {name: float(np.mean(stream.losses)) for name, stream in streams.items()}


def table(data: Path) -> Table:
    """The average loss of each way, by the share of the stream that is alike; each at its best step."""
    samples = occupancy(folder_of(data, "occupancy"), SEED)
    found = [[regrets(samples, beta, step) for step in STEPS] for beta in BETAS]
    rows = ((name, *(f"{min(run[name] for run in runs):.4f}" for runs in found)) for name in found[0][0])
    return Table(("average loss", *(f"beta = {beta:g}" for beta in BETAS)), tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
