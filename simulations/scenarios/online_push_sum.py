"""Online learning with one-way trust: is the room occupied?  Twenty sensors, one sample per round and node.

A node is judged on its next sample before it learns from it (batch 1, one step); the regret is that loss,
averaged over nodes and time.  In the first ``beta`` of the stream each node sees only what is alike.
``python -m simulations.scenarios.online_push_sum [FOLDER]``

Reference: He et al., "Central server free federated learning over single-sided trust social networks", 2019.
Data: Candanedo, Feldheim 2016 (UCI room occupancy, ``datatraining.txt``); features are scaled first.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import topologies
from p2pfl.data.clustered_stream import clustered_stream
from p2pfl.data.dataset import Samples
from simulations.vectorised import Rows, gossip_averaging
from simulations.vectorised_push_sum import push_sum

NODES, OUT_DEGREE, STEP, SEED = 20, 3, 0.5, 1


@dataclass(slots=True, eq=False)
class Stream:
    """Logistic regression on the next sample of every node, and the losses before it is learnt from."""

    inputs: NDArray[np.float64]  # [N, T, D], the constant included
    signs: NDArray[np.float64]  # [N, T], +1 or -1
    losses: list[float]

    def train(self, X: Rows, round: int) -> Rows:
        """One step for every node, on its sample of this round."""
        inputs, sign = self.inputs[:, round], self.signs[:, round]
        margin = sign * np.einsum("nd,nd->n", X, inputs)
        self.losses.append(float(np.logaddexp(0, -margin).mean()))
        gradient = -(sign / (1 + np.exp(margin)))[:, np.newaxis] * inputs
        return np.asarray(X - STEP / np.sqrt(1 + round) * gradient, np.float64)


def occupancy(folder: Path) -> Samples:
    """Temperature, humidity, light, CO2, humidity ratio, in shuffled order."""
    table = np.loadtxt(folder / "datatraining.txt", delimiter=",", skiprows=1, usecols=range(2, 8))
    table = table[np.random.default_rng(SEED).permutation(len(table))]
    numbers = (table[:, :-1] - table[:, :-1].mean(axis=0)) / table[:, :-1].std(axis=0)
    return Samples(numbers.astype(np.float32), table[:, -1].astype(np.int64))


def stream_of(samples: Samples, beta: float) -> Stream:
    """Every node's rows in the order in which it meets them."""
    parts = clustered_stream(samples, NODES, SEED, beta=beta)
    rows = np.stack([part[: min(map(len, parts))] for part in parts])
    inputs = np.concatenate([samples.inputs[rows], np.ones((*rows.shape, 1))], axis=2)
    signs = samples.labels[rows].astype(np.float64) * 2 - 1
    return Stream(inputs.astype(np.float64), signs, [])


def regrets(samples: Samples, beta: float) -> Mapping[str, float]:
    """The average loss of four ways to learn together, or not to."""
    graph = topologies.one_way_trust(NODES, OUT_DEGREE, SEED)
    everybody = np.full((NODES, NODES), 1 / NODES)
    matrices = {"alone": np.eye(NODES), "pull": topologies.receive_weights(graph), "full mesh": everybody}
    streams = {name: stream_of(samples, beta) for name in (*matrices, "push-sum")}
    nodes, rounds, features = streams["alone"].inputs.shape
    for name, W in matrices.items():
        gossip_averaging(np.zeros((nodes, features)), W, rounds, train=streams[name].train)
    C, pushed = topologies.push_weights(graph), streams["push-sum"]
    push_sum(np.zeros((nodes, features)), C, rounds, train=pushed.train, mixing_rounds=1)
    return {name: float(np.mean(stream.losses)) for name, stream in streams.items()}


if __name__ == "__main__":
    data = occupancy(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/occupancy"))
    for share in (0.0, 0.5, 1.0):
        row = ", ".join(f"{name} {regret:.4f}" for name, regret in regrets(data, share).items())
        sys.stdout.write(f"beta {share}: {row}\n")
