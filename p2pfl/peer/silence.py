"""Links on which nothing arrives any more: asked once, then given up.

A host that vanished without a word, or a process that stands still, keeps its connection: the kernel at the
other end may even go on confirming what we send.  So what counts is what arrives.  Time in which this node
was slow itself does not count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from p2pfl.wire.limits import Limits

CHECKS = 3  # while a link may be silent before it is asked


@dataclass(slots=True)
class _Link:
    count: int  # all that had arrived when it was looked at last
    silent_s: float = 0.0


class Silence:
    """Counts for how long nothing has come from each linked peer."""

    def __init__(self, limits: Callable[[], Limits] = Limits) -> None:
        self._limits = limits  # those in force
        self._links: dict[str, _Link] = {}
        self._looked_s: float | None = None

    @property
    def period_s(self) -> float:
        """How often to look."""
        limits = self._limits()
        return min(limits.link_ping_s, limits.link_dead_s) / CHECKS

    def look(self, counts: Mapping[str, int], now_s: float) -> tuple[list[str], list[str]]:
        """Whom to ask for a sign of life, and who is dead; ``counts`` is what has come from each so far."""
        passed_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, 2 * self.period_s)
        self._looked_s = now_s
        before, self._links = self._links, {}
        for peer, count in counts.items():
            old = before.get(peer)
            is_silent = old is not None and old.count == count
            silent_s = old.silent_s + passed_s if old is not None and is_silent else 0.0
            self._links[peer] = _Link(count, silent_s)
        ping_s, dead_s = self._limits().link_ping_s, self._limits().link_dead_s
        dead = [peer for peer, link in self._links.items() if link.silent_s >= dead_s]
        asked = [peer for peer, link in self._links.items() if ping_s <= link.silent_s < dead_s]
        return asked, dead
