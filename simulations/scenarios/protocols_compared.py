"""One model in a circle, at random, or averaging everywhere: how often should it move?

Ten nodes with skewed classes of digits; each node trains 40 passes over its rows in all, E of them at a time,
so that who exchanges rarely also sends little.  ``python -m simulations.scenarios.protocols_compared``

Reference: Chang et al., "Distributed deep learning networks among institutions", 2018: pass it on often.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from simulations.experiment import Experiment
from simulations.scenarios.command import show
from simulations.scenarios.tables import Table, mean_and_spread

NODES, PASSES, ALPHA, SEEDS = 10, 40, 0.1, range(5)
LOCAL_EPOCHS = (1, 2, 5, 10, 20)
# Name of a row -> graph, protocol and its options, and how many nodes train in a round.
WAYS: Mapping[str, tuple[str, Mapping[str, object], int]] = {
    "cyclic pass, fixed order": ("full_mesh", {"name": "cyclic_pass", "order": "fixed"}, 1),
    "cyclic pass, new order each lap": ("full_mesh", {"name": "cyclic_pass", "order": "permutation"}, 1),
    "random walk, full mesh": ("full_mesh", {"name": "random_walk", "rule": "uniform"}, 1),
    "random walk, ring": ("ring", {"name": "random_walk"}, 1),
    "gossip, full mesh": ("full_mesh", {"name": "gossip_averaging"}, NODES),
    "gossip, ring": ("ring", {"name": "gossip_averaging"}, NODES),
}


def experiment(way: str, epochs: int, seed: int, *, passes: int = PASSES) -> Experiment:
    """One way to learn together, with ``passes`` local epochs per node in all."""
    topology, protocol, training = WAYS[way]
    return Experiment(
        topology=topology,
        nodes=NODES,
        protocol=protocol,
        task={"name": "digits", "local_epochs": epochs},
        partition={"name": "dirichlet", "alpha": ALPHA},
        rounds=passes * NODES // (epochs * training),
        seed=seed,
        engine="vectorised",
        evaluate_every=0,
    )


def table(data: Path) -> Table:  # noqa: ARG001 - digits ships with the package
    """Accuracy by local epochs, and the models sent with one local epoch."""
    rows = []
    for way in WAYS:
        found = {epochs: [experiment(way, epochs, seed).run() for seed in SEEDS] for epochs in LOCAL_EPOCHS}
        figures = [mean_and_spread([one.final_accuracy for one in found[epochs]]) for epochs in LOCAL_EPOCHS]
        sent = found[1][0].bytes_sent // found[1][0].models[0].nbytes
        rows.append((way, *figures, f"{sent:,}"))
    return Table(("", *(f"E = {epochs}" for epochs in LOCAL_EPOCHS), "models sent, E = 1"), tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
