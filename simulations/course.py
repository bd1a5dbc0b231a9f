"""The evaluations of a run while it goes on, whichever engine runs it."""

from collections.abc import Sequence

import numpy as np

from p2pfl.learning.learner import Learner
from p2pfl.model import Model
from simulations.result import Evaluated


class Course:
    """Evaluates models as they are adopted: every ``every`` rounds, and the last ones in any case."""

    def __init__(self, learners: Sequence[Learner], every: int) -> None:
        self.rows: list[Evaluated] = []
        self._learners = learners
        self._every = every
        self._latest: dict[int, Evaluated] = {}

    def adopted(self, node: int, round: int, *, model: Model, time_s: float | None) -> None:
        """A node has a new model."""
        if self._every and round % self._every == 0:
            row = self._evaluate(node, round, model=model, time_s=time_s)
            self.rows.append(row)
            self._latest[node] = row

    def final(self, models: Sequence[Model], rounds: Sequence[int]) -> tuple[Evaluated, ...]:
        """The rows of the last models, evaluated now where they have not been."""
        return tuple(
            self._final(node, done, model)
            for node, (done, model) in enumerate(zip(rounds, models, strict=True))
        )

    def _final(self, node: int, done: int, model: Model) -> Evaluated:
        known = self._latest.get(node)
        if known is not None and known.round == done:
            return known
        return self._evaluate(node, done, model=model, time_s=None)

    def _evaluate(self, node: int, done: int, *, model: Model, time_s: float | None) -> Evaluated:
        found = self._learners[node].evaluate(model)
        return Evaluated(node, done, time_s, found.accuracy, found.macro_f1, found.loss)


def stacked(models: Sequence[Model]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Models as one array [N, P]."""
    return np.stack([model.params for model in models])
