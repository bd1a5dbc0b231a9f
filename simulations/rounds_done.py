"""The figures of every evaluated round, noted while nodes do rounds one after the other, some late."""

from collections.abc import Sequence
from dataclasses import replace

from simulations.result_rows import RoundFigures


class RoundsDone:
    """A row per round: of the moment when the last node had done it, but for those that lag behind.

    A round is over when as many nodes, and at least half of all, have done a later one: who joins or starts
    again does it unseen.  Rows stand in the order of rounds and of time: a moment after that of the next row
    gives way to the last one before anybody had gone further; without one the round has no row.
    """

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._notes = 0
        self._over = 0  # this round and all before
        self._counts: dict[int, int] = {}
        self._last: dict[int, tuple[int, RoundFigures]] = {}  # round: number of the note, what it says
        self._ahead: dict[int, tuple[int, RoundFigures]] = {}  # the same while nobody had gone further
        self._furthest = 0

    def note(self, figures: RoundFigures, *, nodes: int = 1) -> None:
        """So many nodes more have done a round, the figures being these now."""
        done = figures.round
        if done <= self._over:
            return
        self._notes += 1
        self._counts[done] = self._counts.get(done, 0) + nodes
        self._last[done] = self._notes, figures
        if done >= self._furthest:
            self._furthest = done
            self._ahead[done] = self._last[done]
        if 2 * self._counts[done] >= self._nodes:
            self._end_before(done)

    def rows(self) -> tuple[RoundFigures, ...]:
        """The rows by now."""
        found: list[RoundFigures] = []
        limit = self._notes
        for done in sorted(self._last, reverse=True):
            number, figures = self._last[done]
            if number > limit and done in self._ahead:
                number, figures = self._ahead[done]
            if number <= limit:
                limit = number
                found.append(figures)
        return tuple(reversed(found))

    def count_bytes(self, after: Sequence[int]) -> None:
        """Fill in what all nodes had sent after round 1, 2, ..."""
        for notes in (self._last, self._ahead):
            for done, (number, figures) in notes.items():
                notes[done] = number, replace(figures, bytes_sent=after[done - 1])

    def _end_before(self, done: int) -> None:
        """End the rounds that no more nodes have done than this one, and all before them."""
        for before in range(done - 1, self._over, -1):
            if before in self._counts and self._counts[before] <= self._counts[done]:
                self._over = before
                return
