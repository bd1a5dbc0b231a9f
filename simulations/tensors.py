"""The recursions of the vectorised engine on a device of torch's: models stay there from round to round.

The same mathematics as ``simulations.vectorised`` and ``simulations.vectorised_push_sum``, up to rounding.
Loaded only when a device other than the CPU is asked for.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from p2pfl.learning.batched_learner import BatchedLearner
from p2pfl.learning.swarm_learner import Rows
from p2pfl.protocols.push_sum import FLOOR
from simulations.course import Course
from simulations.mixing import Weights, check_nodes, check_sums, entries_of, nodes_of, sums_of

DENSE_FROM = 0.3  # share of entries that are not zero, from which a matrix product is faster

TrainTensor: TypeAlias = Callable[[Tensor, int], Tensor]  # (X, round) -> X after everybody's local update


class TensorMixing:
    """W on a device; its rows sum to 1, or, where ``is_push``, its columns.

    A sparse W is an ``embedding_bag``: each sender's row is read once, multiplied and added.
    """

    def __init__(self, weights: Weights, like: Tensor, *, is_push: bool = False) -> None:
        row, column, weight = entries_of(weights)
        nodes = self.nodes = nodes_of(row, column)
        sums = sums_of(column if is_push else row, weight, nodes)
        check_sums(sums, "columns" if is_push else "rows")
        order = np.lexsort((column, row))
        values = torch.tensor(weight[order], dtype=like.dtype, device=like.device)
        columns = torch.tensor(column[order].astype(np.int64), device=like.device)
        self._dense: Tensor | None = None
        if len(weight) > DENSE_FROM * nodes * nodes:
            rows = torch.tensor(row[order].astype(np.int64), device=like.device)
            self._dense = torch.zeros(nodes, nodes, dtype=like.dtype, device=like.device)
            self._dense[rows, columns] = values
        starts = np.concatenate([[0], np.bincount(row, minlength=nodes).cumsum()[:-1]]).astype(np.int64)
        self._sparse = columns, torch.tensor(starts, device=like.device), values

    def mix(self, X: Tensor) -> Tensor:
        """W X, a new tensor."""
        check_nodes(self.nodes, len(X))
        if self._dense is not None:
            return self._dense @ X
        columns, starts, values = self._sparse
        return functional.embedding_bag(columns, X, starts, mode="sum", per_sample_weights=values)


def gossip_averaging(X: Tensor, W: Callable[[int], Weights], rounds: int, *, train: TrainTensor) -> Tensor:
    """Synchronous adapt-then-combine, ``X+ = W train(X)``."""
    weights = mixing = None
    for done in range(rounds):
        now = W(done)
        if mixing is None or now is not weights:
            weights, mixing = now, TensorMixing(now, X)
        X = mixing.mix(train(X, done))
    return X


def push_sum(
    X: Tensor,
    W: Callable[[int], Weights],
    rounds: int,
    *,
    train: TrainTensor,
    mixing_rounds: int = 2,
    weights: NDArray[np.float64] | None = None,
) -> Tensor:
    """Stochastic gradient push: ``s += w0 (train(z) - z)``, ``s+ = W s``, ``w+ = W w``; returns z = s / w."""
    ones = np.ones(len(X)) if weights is None else weights
    first = torch.tensor(ones, dtype=torch.float64, device=X.device).unsqueeze(1)
    S, w, z = X * first, first, X
    for done in range(rounds):
        S = S + first * (train(z, done).double() - z)
        mixing = TensorMixing(W(done), S, is_push=True)
        for _ in range(mixing_rounds):
            S, w = _pushed(mixing, S, w, pauses=w < FLOOR * first)
        z = (S / w).to(X.dtype)
    return z


def _pushed(mixing: TensorMixing, S: Tensor, w: Tensor, *, pauses: Tensor) -> tuple[Tensor, Tensor]:
    """One exchange in which nodes whose weight has become too small keep all they have."""
    S_sent, w_sent = (torch.where(pauses, torch.zeros_like(one), one) for one in (S, w))
    S_kept, w_kept = S - S_sent, w - w_sent
    return mixing.mix(S_sent) + S_kept, mixing.mix(w_sent) + w_kept


def on_device(
    name: str, learner: BatchedLearner, X: Rows, *, rounds: int, course: Course, **options: object
) -> Rows:
    """``gossip_averaging`` or ``push_sum`` where the learner computes; X [N, P] and back on the CPU."""
    update = learner.tensor_trainer()

    def train(X: Tensor, round: int) -> Tensor:
        if round and course.is_evaluated(round):
            course.all_adopted(X.float().cpu().numpy(), round)
        elif round:
            course.all_reached(round)  # the models stay where they are
        return update(X, round)

    recursion: Callable[..., Tensor] = RECURSIONS[name]
    last = recursion(learner.placed(X), rounds=rounds, train=train, **options)
    models: Rows = last.cpu().numpy()
    return models


RECURSIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"gossip_averaging": gossip_averaging, "push_sum": push_sum}
)
