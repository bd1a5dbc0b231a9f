"""The evaluations of a run while it goes on, whichever engine runs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.model import Model
from simulations.consensus import RunningDistance
from simulations.metrics import consensus_distance
from simulations.result_rows import Evaluated, RoundFigures
from simulations.rounds_done import RoundsDone
from simulations.setting import Setting

WAITING_BYTES = 1 << 26  # of models that wait to be evaluated together
REPORTS = 1000  # of progress in a run, at most: a display costs more than a message


@dataclass(frozen=True, slots=True, eq=False)
class _Adopted:
    """A model that waits to be evaluated together with others."""

    node: int
    round: int
    time_s: float | None
    model: Model


class Course:
    """Evaluates models as they are adopted: every ``every`` rounds, and the last ones in any case; of
    the nodes that ``setting.evaluated`` names, or of all.

    Tells ``setting.progress`` how many rounds all nodes together have done, of nodes times rounds.
    """

    def __init__(self, setting: Setting, every: int) -> None:
        self._rows: list[Evaluated] = []
        self._waiting: list[_Adopted] = []
        self._waiting_limit = max(1, WAITING_BYTES // max(1, setting.initial.params.nbytes))
        self._setting = setting
        self._every = every
        self._latest: dict[int, Evaluated] = {}
        self._seen: set[tuple[int, int]] = set()  # (node, round) of the rows
        self._rounds = RoundsDone(setting.nodes)
        self._distance = RunningDistance(setting.initial.params, setting.nodes)
        self._reached = [0] * setting.nodes
        self._done = 0
        self._next_report = 0

    @property
    def rows(self) -> tuple[Evaluated, ...]:
        """A row per node and evaluated round, in the order in which they happened; the first one of a round
        that a node has done again."""
        self._evaluate_waiting()
        return tuple(self._rows)

    @property
    def by_round(self) -> tuple[RoundFigures, ...]:
        """A row per evaluated round, in the order of rounds and of time."""
        return self._rounds.rows()

    def adopted(
        self, node: int, round: int, *, model: Model, time_s: float | None, bytes_sent: int | None = None
    ) -> None:
        """A node has a new model; ``bytes_sent`` by all nodes so far."""
        if self._every:
            self._distance.changed(node, model.params)
        if self.is_evaluated(round):
            self._wait(_Adopted(node, round, time_s, model))
            distance = self._distance.distance()
            self._rounds.note(RoundFigures(round, time_s, distance, bytes_sent))
        self._advance(node, round)

    def all_adopted(self, X: NDArray[np.float32], round: int) -> None:
        """All nodes have new models X [N, P]; nothing of them is kept, or looked at in other rounds."""
        is_evaluated = self.is_evaluated(round)
        if is_evaluated:
            figures = RoundFigures(round, None, consensus_distance(X), None)
            self._rounds.note(figures, nodes=self._setting.nodes)
            for node, row in enumerate(X):
                self._wait(_Adopted(node, round, None, Model(row, round)))
            self._evaluate_waiting()  # before somebody changes X
        self.all_reached(round)

    def all_reached(self, round: int) -> None:
        """All nodes have done a round; their models are not looked at."""
        for node in range(self._setting.nodes):
            self._advance(node, round)

    def count_bytes(self, after: Sequence[int]) -> None:
        """Fill in what all nodes had sent after round 1, 2, ..."""
        self._rounds.count_bytes(after)

    def final(self, models: Sequence[Model], rounds: Sequence[int]) -> tuple[Evaluated, ...]:
        """The rows of the last models, evaluated now where they have not been."""
        self._evaluate_waiting()
        last = [
            _Adopted(node, done, None, model)
            for node, (done, model) in enumerate(zip(rounds, models, strict=True))
        ]
        evaluated = len(self._rows)
        for one in last:
            if not self._is_known(one):
                self._wait(one)
        self._evaluate_waiting()
        del self._rows[evaluated:]  # which stay what happened every so many rounds
        self._setting.report(self._total, self._total)
        return tuple(self._latest[one.node] for one in last if self._is_asked_for(one.node))

    @property
    def _total(self) -> int:
        return self._setting.nodes * self._setting.rounds

    def is_evaluated(self, round: int) -> bool:
        """Are the models of a round looked at?"""
        return self._every > 0 and round % self._every == 0

    def _advance(self, node: int, round: int) -> None:
        self._done += max(0, round - self._reached[node])
        self._reached[node] = max(round, self._reached[node])
        if self._done >= self._next_report:
            self._next_report = self._done + self._total // REPORTS
            self._setting.report(min(self._done, self._total), self._total)

    def _is_asked_for(self, node: int) -> bool:
        return self._setting.evaluated is None or node in self._setting.evaluated

    def _is_known(self, one: "_Adopted") -> bool:
        known = self._latest.get(one.node)
        return known is not None and known.round == one.round

    def _wait(self, one: "_Adopted") -> None:
        if self._is_asked_for(one.node):
            self._waiting.append(one)
            if len(self._waiting) >= self._waiting_limit:
                self._evaluate_waiting()

    def _evaluate_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        evaluate = self._setting.learner.evaluate
        found = evaluate([one.node for one in waiting], [one.model for one in waiting])
        for one, what in zip(waiting, found, strict=True):
            row = Evaluated(one.node, one.round, one.time_s, what.accuracy, what.macro_f1, what.loss)
            self._latest[one.node] = row
            if (one.node, one.round) not in self._seen:
                self._seen.add((one.node, one.round))
                self._rows.append(row)


def stacked(models: Sequence[Model]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Models as one array [N, P]."""
    return np.stack([model.params for model in models])
