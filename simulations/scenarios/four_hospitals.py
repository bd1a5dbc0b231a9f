"""Four hospitals with nobody in charge: heart disease, each hospital a node that keeps its patients' rows.

``python -m simulations.scenarios.four_hospitals --data DIR``
Data: Janosi, Steinbrunn, Pfisterer, Detrano 1988 (UCI 45).  Reference: du Terrail et al., "FLamby", 2022.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import topologies
from p2pfl.data.dataset import Samples
from p2pfl.data.partition import by_column
from p2pfl.learning.baselines import train_alone
from p2pfl.learning.learner import LearnerSetup, LearningTask
from simulations.experiment import Experiment
from simulations.scenarios.command import show
from simulations.scenarios.data_sets import HOSPITALS
from simulations.scenarios.federated_averaging import FederatedAveraging
from simulations.scenarios.heart_disease import hospitals
from simulations.scenarios.tables import Table, mean_and_spread

SEEDS, ROUNDS = range(10), 30
PUBLISHED = dict(zip(HOSPITALS, ("0.784", "0.727", "0.483", "0.611"), strict=True))
PUBLISHED |= {"federated averaging": "0.748", "pooled": "0.795"}


def accuracies(task: LearningTask, seed: int, rounds: int = ROUNDS) -> Mapping[str, float]:
    """On everybody's test patients: alone, together in several ways, and all rows in one place."""
    mesh, hops = topologies.full_mesh(len(HOSPITALS)), rounds * len(HOSPITALS)
    base = Experiment(
        topology=mesh, task=task, partition="by_column", rounds=rounds, seed=seed, evaluate_every=0
    )
    data = task.dataset()
    parts = [data.train.take(rows) for rows in by_column(data.train, len(HOSPITALS), seed)]

    def alone(train: Samples, number: int = 0) -> float:
        learner = task.learner(train, data.test, LearnerSetup(seed, number, rounds))
        return learner.evaluate(train_alone(learner, rounds)).accuracy

    one_way, push_sum = topologies.one_way_ring(len(HOSPITALS)), {"name": "push_sum", "weighting": "samples"}
    together = {
        "federated averaging": replace(base, topology=FederatedAveraging(tuple(map(len, parts)))),
        "gossip, full mesh": base,
        "gossip, ring": replace(base, topology=topologies.ring(len(HOSPITALS))),
        "push-sum, one-way ring": replace(base, topology=one_way, protocol=push_sum),
        "cyclic pass": replace(base, protocol="cyclic_pass", rounds=hops),
        "random walk": replace(base, protocol="random_walk", rounds=hops),
    }
    return {
        **{name: alone(part, i) for i, (name, part) in enumerate(zip(HOSPITALS, parts, strict=True))},
        **{name: experiment.run().final_accuracy for name, experiment in together.items()},
        "pooled": alone(data.train),
    }


def table(data: Path) -> Table:
    """Ours over the seeds beside the published figures."""
    task = hospitals(data)
    found = [accuracies(task, seed) for seed in SEEDS]
    rows = ((key, mean_and_spread([run[key] for run in found]), PUBLISHED.get(key, "")) for key in found[0])
    return Table(("accuracy on all test patients; first alone", "ours", "published"), tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
