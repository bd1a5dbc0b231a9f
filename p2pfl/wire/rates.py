"""How often something may happen: token buckets, in whatever time the caller lives in."""

from math import inf


class TokenBucket:
    """``burst`` things at once, and ``per_s`` a second in the long run.

    ``take`` refuses what comes too early; ``delay_s`` lets it happen and says when, for callers that wait.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._filled_s = -inf

    def take(self, now_s: float) -> bool:
        """May it happen now?  Only then it counts."""
        self._fill(now_s)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def delay_s(self, now_s: float) -> float:
        """It happens, and counts: after so many seconds, 0 for at once."""
        self._fill(now_s)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def _fill(self, now_s: float) -> None:
        """Time that runs backwards brings nothing, and takes nothing away."""
        if now_s > self._filled_s:
            gained = (now_s - self._filled_s) * self._per_s
            self._tokens = min(self._burst, self._tokens + gained)
            self._filled_s = now_s
