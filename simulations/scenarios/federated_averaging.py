"""Federated averaging as a schedule of mixing weights: what a server would compute, computed by everybody.

Reference: McMahan et al., "Communication-efficient learning of deep networks", AISTATS 2017.
"""

from dataclasses import dataclass
from math import ceil

import networkx as nx
import numpy as np
from numpy.typing import NDArray

PURPOSE = 0x46454441  # of the draws: who takes part in a round


@dataclass(frozen=True, slots=True)
class FederatedAveraging:
    """A full mesh in which a fraction of the nodes is heard each round, weighted by their numbers of samples.

    W[i, j] = n_j / (sum of n over those that take part), in every row; whoever does not trains in vain.
    """

    samples: tuple[int, ...]
    fraction: float = 1.0
    seed: int = 0

    def participants(self, round: int) -> list[int]:
        """Who takes part: at least one, drawn anew each round."""
        random = np.random.default_rng([self.seed, 0, round, PURPOSE])
        count = max(1, ceil(self.fraction * len(self.samples)))
        return sorted(random.choice(len(self.samples), count, replace=False).tolist())

    def graph(self, round: int) -> nx.Graph:  # noqa: ARG002 - whoever takes part is heard by everybody
        """The full mesh."""
        return nx.complete_graph(len(self.samples))

    def weights(self, round: int) -> NDArray[np.float64]:
        """W [N, N], all rows alike."""
        heard, row = self.participants(round), np.zeros(len(self.samples))
        row[heard] = [self.samples[node] for node in heard]
        return np.tile(row / row.sum(), (len(row), 1))
