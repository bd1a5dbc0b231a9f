"""How long to wait before a silent member counts as dead, and how often to repeat a rumour.

The two formulas are SWIM's as memberlist has them: suspicion lasts ``m * max(1, log10 n)`` intervals, since
news travel further among more, and a rumour is repeated ``m * ceil(log10(n + 1))`` times.
References: Das, Gupta, Motivala, "SWIM", DSN 2002; Dadgar, Phillips, Currey, "Lifeguard", DSN-W 2018.
"""

from math import ceil, log10

LAG_S = 0.2  # a timer that fires later than this shows that this node was busy
MAX_STRETCH = 8.0  # of the patience with others after lags of this node's own


def suspicion_stretch(members: int) -> float:
    """By how much a suspicion lasts longer among ``members`` than among ten or fewer."""
    return max(1.0, log10(members)) if members else 1.0


def retransmits(members: int, multiplier: int) -> int:
    """How often a rumour is repeated on each link."""
    return multiplier * ceil(log10(members + 1))


class Slowness:
    """How busy this node itself has been: whoever is late must not blame the others for what it missed."""

    __slots__ = ("_level", "_noted_s")

    def __init__(self) -> None:
        self._level = 0.0
        self._noted_s = 0.0

    @property
    def stretch(self) -> float:
        """What periods of patience are multiplied by, from 1 to ``MAX_STRETCH``."""
        return 1.0 + self._level

    def note(self, lag_s: float, now_s: float, *, heartbeat_s: float) -> None:
        """A timer fired ``lag_s`` late.

        A lag of ``LAG_S`` costs one step; each heartbeat without a lag takes one back.
        """
        if lag_s > LAG_S:
            self._level = min(self._level + lag_s / LAG_S, MAX_STRETCH - 1)
        elif self._level:
            self._level = max(self._level - (now_s - self._noted_s) / heartbeat_s, 0.0)
        self._noted_s = now_s
