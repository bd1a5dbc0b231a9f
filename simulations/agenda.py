"""What is still to happen in virtual time: those of one instant in the order of their causes."""

from collections.abc import Callable
from heapq import heappop, heappush


class Agenda:
    """A heap of actions.  ``idle`` ones, timers, do not keep a run alive by themselves."""

    __slots__ = ("_heap", "idle", "now_s", "number")

    def __init__(self) -> None:
        self.now_s = 0.0
        self.number = 0  # of entries made so far: breaks ties, and names a timer
        self.idle = 0  # timers among the entries
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` at ``time_s``."""
        self.number += 1
        heappush(self._heap, (time_s, self.number, action))

    @property
    def has_only_timers(self) -> bool:
        """Would nothing happen any more but timers that run out?"""
        return len(self._heap) == self.idle

    def step(self, until_s: float) -> bool:
        """Do what comes next; False when that is later than ``until_s``, or when there is nothing."""
        if not self._heap or self._heap[0][0] > until_s:
            return False
        self.now_s, _, action = heappop(self._heap)
        action()
        return True
