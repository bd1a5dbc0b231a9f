"""Does averaging contract as its matrix says?  Measured per round, beside the second eigenvalue.

The disagreement of random values is followed until only the slowest direction is left; from there it shrinks
by the second largest |eigenvalue| of W per round (Xiao, Boyd 2004).
``python -m simulations.scenarios.consensus_contraction``
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import networkx as nx
import numpy as np
from numpy.typing import NDArray

import topologies
from simulations.scenarios.command import show
from simulations.scenarios.tables import Table, bound
from simulations.vectorised import gossip_averaging

Floats: TypeAlias = NDArray[np.float64]

NODES, ROUNDS, SEED, FACTOR = 64, 2000, 1, 1e-3
AGREED = 1e-12  # a disagreement that is rounding alone


def graphs() -> Mapping[str, nx.Graph]:
    """Families of N nodes, from the slowest to the fastest."""
    names = ("line", "ring", "one_way_ring", "star", "torus", "hypercube", "exponential", "full_mesh")
    found = {name: topologies.build(name, NODES, SEED) for name in names}
    return {**found, "partial_mesh, degree 4": topologies.partial_mesh(NODES, 4, SEED)}


def contraction(W: Floats, rounds: int = ROUNDS) -> tuple[float, int]:
    """The factor of the last of these rounds, and how many more it takes to a thousandth of it all."""
    factor = 1.0
    X = _scaled(np.random.default_rng(SEED).standard_normal((len(W), 4)))
    for _ in range(rounds):
        mixed = averaged(X, W)
        factor = disagreement(mixed)
        if factor < AGREED:
            return 0.0, 1
        X = _scaled(mixed)
    more = 0
    while disagreement(X) > FACTOR:
        X, more = averaged(X, W), more + 1
    return factor, more


def averaged(X: Floats, W: Floats) -> Floats:
    """One round."""
    return np.asarray(gossip_averaging(X, W, 1), np.float64)


def disagreement(X: Floats) -> float:
    """||X - J X||_F."""
    return float(np.linalg.norm(X - X.mean(axis=0)))


def _scaled(X: Floats) -> Floats:
    """Moved and stretched so that the disagreement is 1; the rounds, being linear, do not notice."""
    centred = X - X.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred))


def table(data: Path) -> Table:  # noqa: ARG001 - needs none
    """Eigenvalue, measured factor and rounds to a thousandth of the disagreement, for each graph."""
    weights = {name: topologies.mixing_weights(graph) for name, graph in graphs().items()}
    rows = []
    for name, W in sorted(weights.items(), key=lambda item: -topologies.slem(item[1])):
        (measured, rounds), expected = contraction(W), topologies.slem(W)
        figures = (f"{expected:.8f}", f"{measured:.8f}", bound(abs(measured - expected)))
        rows.append((name, *figures, f"{topologies.rounds_to_consensus(W, FACTOR)}, {rounds}"))
    headings = (f"N = {NODES}", "second eigenvalue", "measured", "difference", "rounds: predicted, measured")
    return Table(headings, tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
