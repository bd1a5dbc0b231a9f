"""Full mesh, E local epochs, weights by samples: gossip averaging is federated averaging without a server.

Each round a fraction of the nodes takes part.  The server is written apart from the engines, for comparison.
``python -m simulations.scenarios.fedavg_equivalence``
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.partition import Rows, dirichlet
from p2pfl.learning.learner import LearnerSetup, LearningTask
from p2pfl.learning.tasks import digits
from p2pfl.model import Model
from simulations.experiment import Experiment
from simulations.scenarios.command import show
from simulations.scenarios.federated_averaging import FederatedAveraging
from simulations.scenarios.tables import Table, bound

Floats: TypeAlias = NDArray[np.float64]

NODES, ROUNDS, SEED, ENGINES = 10, 8, 3, ("event", "vectorised")


def server(task: LearningTask, parts: Sequence[Rows], plan: FederatedAveraging, *, rounds: int) -> Floats:
    """The same with a server: it sends its model [P] to the participants and averages what they return."""
    data = task.dataset()
    clients = [
        task.learner(data.train.take(rows), data.test, LearnerSetup(SEED, number, rounds))
        for number, rows in enumerate(parts)
    ]
    x = clients[0].initial().params.astype(np.float64)
    for done in range(rounds):
        total, heard = np.zeros_like(x), 0
        for node in plan.participants(done):
            trained, _ = clients[node].train(Model(x.astype(np.float32), done), {})
            total, heard = total + len(parts[node]) * trained.params, heard + len(parts[node])
        x = total / heard
    return x


def differences(task: LearningTask, fraction: float, rounds: int = ROUNDS) -> tuple[list[float], float]:
    """The largest difference between any node's model and the server's, per engine; the nodes' accuracy."""
    parts = dirichlet(task.dataset().train, NODES, SEED)
    plan = FederatedAveraging(tuple(map(len, parts)), fraction)
    model = server(task, parts, plan, rounds=rounds)
    base = Experiment(
        topology=plan, task=task, partition="dirichlet", rounds=rounds, seed=SEED, evaluate_every=0
    )
    results = [replace(base, engine=engine).run() for engine in ENGINES]
    return [float(np.abs(one.models - model).max()) for one in results], results[0].final_accuracy


def table(data: Path) -> Table:  # noqa: ARG001 - digits ships with scikit-learn
    """Largest difference and accuracy by local epochs, participation and engine."""
    rows = []
    for epochs, fraction in product((1, 5), (1.0, 0.5, 0.2)):
        found, accuracy = differences(digits(local_epochs=epochs), fraction)
        rows.append((f"{epochs}, {fraction:.0%}", *map(bound, found), f"{accuracy:.3f}"))
    headings = (
        "local epochs, nodes that take part",
        *(f"{engine} - server" for engine in ENGINES),
        "accuracy",
    )
    return Table(headings, tuple(rows))


if __name__ == "__main__":
    sys.exit(show(table, __doc__))
