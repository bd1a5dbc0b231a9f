"""Limits that are hit often are told of rarely: each hit counts, one in a period is worth a line."""

from collections import Counter
from collections.abc import Mapping

PERIOD_S = 60.0
MAX_TOLD = 64  # different things told of within one period; further ones share a line per word


class Throttle:
    """Decides which of many alike events are told; sans-IO."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._told_s: dict[tuple[str, str], float] = {}  # the oldest first
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each word was noted, told or not."""
        return self._counts

    def note(self, word: str, who: str, now_s: float) -> int:
        """One more ``word`` about ``who``: how many to tell of now, this one included; 0 for none."""
        self._counts[word] += 1
        self._forget(now_s)
        key = (word, who)
        if key not in self._told_s and len(self._told_s) >= MAX_TOLD:
            key = (word, "")
        if key in self._told_s:
            self._left_out[key] += 1
            return 0
        self._told_s[key] = now_s
        return 1 + self._left_out.pop(key, 0)

    def _forget(self, now_s: float) -> None:
        for key, told_s in list(self._told_s.items()):
            if now_s - told_s < self._period_s:
                break
            del self._told_s[key]
        for key in list(self._left_out)[:-MAX_TOLD]:
            del self._left_out[key]
