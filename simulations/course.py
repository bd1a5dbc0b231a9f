"""The evaluations of a run while it goes on, whichever engine runs it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from p2pfl.model import Model
from simulations.consensus import RunningDistance
from simulations.metrics import consensus_distance
from simulations.result_rows import Evaluated, RoundFigures
from simulations.setting import Setting

REPORTS = 1000  # of progress in a run, at most: a display costs more than a message


class Course:
    """Evaluates models as they are adopted: every ``every`` rounds, and the last ones in any case.

    Tells ``setting.progress`` how many rounds all nodes together have done, of nodes times rounds.
    """

    def __init__(self, setting: Setting, every: int) -> None:
        self.rows: list[Evaluated] = []
        self._setting = setting
        self._every = every
        self._latest: dict[int, Evaluated] = {}
        self._figures: dict[int, RoundFigures] = {}
        self._distance = RunningDistance(setting.initial.params, setting.nodes)
        self._reached = [0] * setting.nodes
        self._done = 0
        self._next_report = 0

    @property
    def by_round(self) -> tuple[RoundFigures, ...]:
        """A row per evaluated round, in the order of rounds."""
        return tuple(self._figures[done] for done in sorted(self._figures))

    def adopted(
        self, node: int, round: int, *, model: Model, time_s: float | None, bytes_sent: int | None = None
    ) -> None:
        """A node has a new model; ``bytes_sent`` by all nodes so far."""
        if self._every:
            self._distance.changed(node, model.params)
        if self._is_evaluated(round):
            self._keep(self._evaluate(node, round, model=model, time_s=time_s))
            distance = self._distance.distance()
            self._figures[round] = RoundFigures(round, time_s, distance, bytes_sent)
        self._advance(node, round)

    def all_adopted(self, X: NDArray[np.float32], round: int) -> None:
        """All nodes have new models X [N, P]; nothing of them is kept."""
        is_evaluated = self._is_evaluated(round)
        if is_evaluated:
            self._figures[round] = RoundFigures(round, None, consensus_distance(X), None)
        for node, row in enumerate(X):
            if is_evaluated:
                self._keep(self._evaluate(node, round, model=Model(row, round), time_s=None))
            self._advance(node, round)

    def count_bytes(self, after: Sequence[int]) -> None:
        """Fill in what all nodes had sent after round 1, 2, ..."""
        for done, row in self._figures.items():
            self._figures[done] = replace(row, bytes_sent=after[done - 1])

    def final(self, models: Sequence[Model], rounds: Sequence[int]) -> tuple[Evaluated, ...]:
        """The rows of the last models, evaluated now where they have not been."""
        rows = tuple(
            self._final(node, done, model)
            for node, (done, model) in enumerate(zip(rounds, models, strict=True))
        )
        self._setting.report(self._total, self._total)
        return rows

    @property
    def _total(self) -> int:
        return self._setting.nodes * self._setting.rounds

    def _is_evaluated(self, round: int) -> bool:
        return self._every > 0 and round % self._every == 0

    def _keep(self, row: Evaluated) -> None:
        self.rows.append(row)
        self._latest[row.node] = row

    def _advance(self, node: int, round: int) -> None:
        self._done += max(0, round - self._reached[node])
        self._reached[node] = max(round, self._reached[node])
        if self._done >= self._next_report:
            self._next_report = self._done + self._total // REPORTS
            self._setting.report(min(self._done, self._total), self._total)

    def _final(self, node: int, done: int, model: Model) -> Evaluated:
        known = self._latest.get(node)
        if known is not None and known.round == done:
            return known
        return self._evaluate(node, done, model=model, time_s=None)

    def _evaluate(self, node: int, done: int, *, model: Model, time_s: float | None) -> Evaluated:
        found = self._setting.learners[node].evaluate(model)
        return Evaluated(node, done, time_s, found.accuracy, found.macro_f1, found.loss)


def stacked(models: Sequence[Model]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Models as one array [N, P]."""
    return np.stack([model.params for model in models])
