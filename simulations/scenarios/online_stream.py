"""Samples that come one at a time, each judged before it is learnt from: logistic regression on a stream."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.clustered_stream import clustered_stream
from p2pfl.data.dataset import Samples

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """The next sample of every node, and the mean losses before they are learnt from, round by round."""

    signed: Floats  # [N, T, D], the constant included, times +1 or -1 by the label
    step: float  # at round 0; it falls like 1 / sqrt(1 + round)
    losses: list[float] = field(default_factory=list)

    @property
    def start(self) -> Floats:
        """Models [N, D] that know nothing."""
        return np.zeros_like(self.signed[:, 0])

    @property
    def rounds(self) -> int:
        """T."""
        return len(self.signed[0])

    def train(self, X: NDArray[np.float32] | Floats, round: int) -> Floats:
        """One step for every node, on its sample of this round."""
        signed = self.signed[:, round]
        margin = np.einsum("nd,nd->n", X, signed)
        self.losses.append(float(np.logaddexp(0, -margin).mean()))
        gradient = -signed / (1 + np.exp(margin))[:, np.newaxis]
        return np.asarray(X - self.step / np.sqrt(1 + round) * gradient, np.float64)


def signed_rows(samples: Samples, nodes: int, seed: int, *, beta: float) -> Floats:
    """Every node's rows [N, T, D] in the order in which it meets them, times +1 or -1 by the label."""
    parts = clustered_stream(samples, nodes, seed, beta=beta)
    rows = np.stack([part[: min(map(len, parts))] for part in parts])
    inputs = np.concatenate([samples.inputs[rows], np.ones((*rows.shape, 1))], axis=2)
    return np.asarray(inputs * (2.0 * samples.labels[rows][:, :, np.newaxis] - 1), np.float64)


def occupancy(folder: Path, seed: int) -> Samples:
    """Temperature, humidity, light, CO2, humidity ratio, each scaled, in shuffled order."""
    table = np.loadtxt(folder / "datatraining.txt", delimiter=",", skiprows=1, usecols=range(2, 8))
    table = table[np.random.default_rng(seed).permutation(len(table))]
    numbers = (table[:, :-1] - table[:, :-1].mean(axis=0)) / table[:, :-1].std(axis=0)
    return Samples(numbers.astype(np.float32), table[:, -1].astype(np.int64))
