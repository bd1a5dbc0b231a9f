"""The mathematics without objects: all models in one array X [N, P], mixed by W [N, N], round by round.

Receiver convention: ``W[i, j]`` is the weight that node i gives to node j's model.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from p2pfl.learning.swarm_learner import Rows
from simulations.mixing import GatheredMixing, Mixing, Weights

TrainAll: TypeAlias = Callable[[Rows, int], Rows]  # (X, round) -> X after every node's local update
TrainOne: TypeAlias = Callable[[int, Rows, int], Rows]  # (node, x [P], age) -> x after its local update


def gossip_averaging(
    X: Rows,
    W: Weights | Callable[[int], Weights],
    rounds: int,
    *,
    train: TrainAll | None = None,
    mixing: Callable[[Weights], Mixing] = GatheredMixing,
) -> Rows:
    """Synchronous adapt-then-combine, ``X+ = W train(X)``; without ``train`` plain averaging.

    ``W`` (rows summing to 1) is a matrix, dense or sparse, or a function of the round (0, 1, ...).
    """
    weights = present = None
    for done in range(rounds):
        now = W(done) if callable(W) else W
        if present is None or now is not weights:
            weights, present = now, mixing(now)
        if train is not None:
            X = train(X, done)  # the old X goes before there is a mixed one
        X = present.mix(X)
    return X


def walk(x: Rows, path: Iterable[int], train: TrainOne) -> Rows:
    """One model [P] that is trained by the nodes of ``path`` in turn, as the last one leaves it."""
    for age, node in enumerate(path):
        x = train(node, x, age)
    return x
