"""The start barrier of a node: its protocol begins when enough members, and its neighbours, are there.

A fresh node waits until the roster has ``min_members`` and its neighbours of the first round are linked, or
``settle_s`` more have passed since the roster was large enough; a restored node has been through the barrier
once and waits only until the members it knew are there again, at most ``settle_s`` once anybody is.
"""

from collections import deque
from collections.abc import Callable

from p2pfl.events import Received, SetTimer, View

MAX_HELD = 64  # messages kept for the protocol while the start barrier is closed
MAX_HELD_MODELS = 4  # of one sender among them: more would use up the memory that a link may fill
SETTLE_TIMER = "node.settle"
SETTLE_S = 3.0


class Barrier:
    """Closed until enough members are there to begin, or to go on."""

    def __init__(self, min_members: int, settle_s: float) -> None:
        self._min_members = min_members
        self._settle_s = settle_s
        self._expected: frozenset[str] | None = None
        self._is_waiting = False
        self.has_settled = False
        self.is_open = False
        self.held: deque[Received] = deque(maxlen=MAX_HELD)

    def expect(self, members: frozenset[str]) -> None:
        """The node was restored: wait for these members instead of ``min_members``."""
        self._expected = members

    def hold(self, event: Received) -> None:
        """Keep a message until the barrier opens; the oldest give way."""
        self.held.append(event)
        models = [e for e in self.held if e.sender == event.sender and e.message.has_arrays]
        for old in models[:-MAX_HELD_MODELS]:
            self.held.remove(old)

    def release(self, accepts: Callable[[str], bool]) -> None:
        """Drop the models and other arrays of senders that are not accepted."""
        kept = [e for e in self.held if accepts(e.sender) or not e.message.has_arrays]
        self.held = deque(kept, maxlen=MAX_HELD)

    @property
    def is_for_one(self) -> bool:
        """May the node begin alone?"""
        return self._min_members <= 1

    def may_open(self, view: View, near: frozenset[str]) -> bool:
        """Are the awaited there, or has waiting for the last of them lasted long enough?"""
        if not self._has_company(view):
            return False
        return self.has_settled or self._is_complete(view, near)

    def wait(self, view: View) -> list[SetTimer]:
        """Begin the settling time once there is company."""
        if self._is_waiting or not self._has_company(view):
            return []
        self._is_waiting = True
        return [SetTimer(SETTLE_TIMER, self._settle_s)]

    def _has_company(self, view: View) -> bool:
        least = self._min_members if self._expected is None else min(self._min_members, 2)
        return len(view.members) >= least

    def _is_complete(self, view: View, near: frozenset[str]) -> bool:
        if self._expected is not None and not self._expected.issubset(view.members):
            return False
        return near <= view.live
