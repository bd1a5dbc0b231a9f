"""Watches the event loop: a callback that holds it up delays every answer of the node, and is to be seen.

A timer that fires late shows it.  What was longer than ``LAG_S`` is reported, at most once per ``QUIET_S``,
with how often and how long at worst it has been since the last report.
"""

import asyncio
from collections.abc import Callable, Mapping

LAG_S = 0.2  # from here on membership forgives the others our own slowness
LOOK_S = 0.5
QUIET_S = 60.0


class LagCount:
    """Decides what of the lags is worth a report: pure."""

    def __init__(self) -> None:
        self._count = 0
        self._worst_s = 0.0
        self._reported_s: float | None = None

    def note(self, lag_s: float, now_s: float) -> Mapping[str, object] | None:
        """Take up how late the timer was; the facts of a report when one is due."""
        if lag_s > LAG_S:
            self._count += 1
            self._worst_s = max(self._worst_s, lag_s)
        is_quiet = self._reported_s is not None and now_s - self._reported_s < QUIET_S
        if not self._count or is_quiet:
            return None
        facts = {"worst_s": round(self._worst_s, 3), "count": self._count}
        self._count, self._worst_s, self._reported_s = 0, 0.0, now_s
        return facts


class LoopLag:
    """Watches the loop that it is started in, until stopped."""

    def __init__(self, report: Callable[[str, Mapping[str, object]], None]) -> None:
        self._report = report
        self._lags = LagCount()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_S, self._look, loop.time() + LOOK_S)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        facts = self._lags.note(now_s - due_s, now_s)
        self.start()
        if facts is not None:
            self._report("loop.lag", facts)
