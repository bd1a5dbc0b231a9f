"""What is still to happen in virtual time: those of one instant in the order of their causes."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from math import inf

RARELY = (200_000, 20, 50)  # thresholds of the garbage collector's three generations


class Agenda:
    """A heap of actions; idle ones (timers, heartbeats, faults) do not keep a run alive by themselves."""

    __slots__ = ("_heap", "_idle", "now_s", "number")

    def __init__(self) -> None:
        self.now_s = 0.0
        self.number = 0  # of entries made so far: breaks ties, and names a timer
        self._idle = 0  # among the entries
        self._heap: list[tuple[float, int, Callable[[], None], bool]] = []

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` at ``time_s``."""
        self.number += 1
        heappush(self._heap, (time_s, self.number, action, False))

    def idly_at(self, time_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` at ``time_s``, if the run lasts that long."""
        self.number += 1
        self._idle += 1
        heappush(self._heap, (time_s, self.number, action, True))

    @property
    def is_idle(self) -> bool:
        """Would nothing happen any more but what does not keep a run alive?"""
        return len(self._heap) == self._idle

    @property
    def next_s(self) -> float:
        """When the next entry is due; infinite when there is none."""
        return self._heap[0][0] if self._heap else inf

    def step(self, until_s: float) -> bool:
        """Do what comes next; False when that is later than ``until_s``, or when there is nothing."""
        if not self._heap or self._heap[0][0] > until_s:
            return False
        self.now_s, _, action, is_idle = heappop(self._heap)
        self._idle -= is_idle
        action()
        return True


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Look for cycles seldom: a run makes hardly any, and looking costs a third of its time.

    Of runs in several threads, only those that found what is usual bring it back.
    """
    usual = gc.get_threshold()
    if usual == RARELY:
        yield
        return
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
