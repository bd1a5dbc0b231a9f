"""A full mesh with E local epochs is federated averaging (ALGORITHMS.md, sections 4.1 and 11, row 17)."""

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.partition import dirichlet
from p2pfl.learning.numpy_learner import digits_softmax
from simulations import Experiment
from simulations.scenarios.federated_averaging import FederatedAveraging

NODES, ROUNDS, EPOCHS, STEP, SEED = 6, 6, 3, 0.5, 2
WHOLE = 2000  # a batch of all rows: then no draw decides, and full-batch descent is easily written anew

Floats = NDArray[np.float64]


def descended(x: Floats, inputs: Floats, labels: NDArray[np.int64], step: float) -> Floats:
    """E steps of gradient descent on softmax regression, all rows in each."""
    for _ in range(EPOCHS):
        weight, bias = x[:-10].reshape(-1, 10), x[-10:]
        scores = np.exp(inputs @ weight + bias)
        error = scores / scores.sum(axis=1, keepdims=True) - np.eye(10)[labels]
        x = x - step * np.append(inputs.T @ error, error.sum(axis=0)) / len(labels)
    return x


def test_a_full_mesh_weighted_by_samples_is_federated_averaging_written_anew() -> None:
    task = digits_softmax(local_epochs=EPOCHS, step=STEP, batch_size=WHOLE)
    train = task.dataset().train
    parts = dirichlet(train, NODES, SEED)
    plan = FederatedAveraging(tuple(map(len, parts)), 0.5, seed=7)
    result = Experiment(topology=plan, task=task, rounds=ROUNDS, seed=SEED, evaluate_every=0).run()

    x = Experiment(topology=plan, task=task, rounds=ROUNDS, seed=SEED).setting().initial.params.astype(float)
    for done in range(ROUNDS):
        heard = plan.participants(done)
        step = STEP * (1 - done / ROUNDS)
        sent = [
            descended(x, train.inputs[parts[k]].astype(float), train.labels[parts[k]], step) for k in heard
        ]
        x = np.average(sent, axis=0, weights=[len(parts[k]) for k in heard])

    assert np.abs(result.models - x).max() < 1e-5
