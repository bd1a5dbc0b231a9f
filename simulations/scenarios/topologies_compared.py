"""Which graph, and how much does it matter when the nodes see different classes?  Fashion-MNIST on 64 nodes.

Softmax regression, ten local steps of 32 images between two rounds of gossip averaging; classes mildly
(Dirichlet 1) and strongly (0.1) skewed.  ``python -m simulations.scenarios.topologies_compared --data DIR``

Data: Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST", arXiv 1708.07747.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import networkx as nx
import numpy as np

import topologies
from p2pfl.learning.learner import LearningTask
from p2pfl.learning.tasks import idx
from simulations.experiment import Experiment
from simulations.result import Result
from simulations.scenarios.command import show
from simulations.scenarios.data_sets import folder_of
from simulations.scenarios.tables import Table
from topologies.schedules import Static

NODES, ROUNDS, LOCAL_STEPS, SEED = 64, 60, 10, 1
ALPHAS = (1.0, 0.1)


def schedules(nodes: int) -> Mapping[str, topologies.Schedule]:
    """From nobody to everybody."""
    found: dict[str, topologies.Schedule] = {"alone": Static(nx.empty_graph(nodes), np.eye(nodes))}
    for name in ("ring", "torus", "exponential", "full_mesh"):
        found[name] = topologies.static(topologies.build(name, nodes, SEED))
    found["partial_mesh, degree 4"] = topologies.static(topologies.partial_mesh(nodes, 4, SEED))
    return dict(sorted(found.items(), key=lambda item: -topologies.slem(item[1].weights(0))))


def run(task: LearningTask, schedule: topologies.Schedule, alpha: float, *, rounds: int = ROUNDS) -> Result:
    """Gossip averaging on one graph."""
    return Experiment(
        topology=schedule,
        task=task,
        partition={"name": "dirichlet", "alpha": alpha},
        rounds=rounds,
        seed=SEED,
        engine="vectorised",
        evaluate_every=0,
    ).run()


def table(data: Path) -> Table:
    """Mean and lowest accuracy of the nodes by graph and skew, and what a node sends."""
    path = str(folder_of(data, "fashion-mnist"))
    task = idx(path=path, model="softmax", local_steps=LOCAL_STEPS, batch_size=32)
    rows = []
    for name, schedule in schedules(NODES).items():
        W = schedule.weights(0)
        results = [run(task, schedule, alpha) for alpha in ALPHAS]
        figures = [
            f"{one.final_accuracy:.3f}, {min(row.accuracy for row in one.final):.3f}" for one in results
        ]
        sent = results[0].messages_sent / (NODES * ROUNDS)
        rows.append((name, f"{topologies.slem(W):.4f}", *figures, f"{sent:.0f}"))
    skews = (f"Dirichlet {alpha:g}: mean, lowest" for alpha in ALPHAS)
    return Table((f"N = {NODES}", "second eigenvalue", *skews, "models sent per node and round"), tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
