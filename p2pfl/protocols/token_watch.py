"""When a member should ask whether there is still a token: how long it usually takes to come round.

Asking costs a few words and decides nothing, so that no time has to be guessed well.  It is due when the
token has not been here for twice the longest of its last times round, at least ``ack_timeout_s`` per member
(so long also in the first lap), twice as long after each search that found one, up to ``MAX_SEARCHES``; and
``ack_timeout_s`` after somebody has gone who may have held it, which leaves time to come back.
"""

from collections import deque
from math import inf

KEPT_GAPS = 8
LEAST_S = 1e-3  # a shorter wait is none: it might be lost in the rounding of the time
MAX_SEARCHES = 12  # without a sight of the token, until something changes


class TokenWatch:
    """Remembers when the token was here, and when its absence becomes strange."""

    def __init__(self, ack_timeout_s: float) -> None:
        self._ack_timeout_s = ack_timeout_s
        self._gaps_s: deque[float] = deque(maxlen=KEPT_GAPS)
        self._seen_s: float | None = None
        self._since_s = 0.0  # the last sight, or the last search
        self._searches = 0
        self._suspected_s = inf  # somebody is gone: when to ask

    def begin(self, now_s: float) -> None:
        """The node starts, or the token is still here."""
        self._since_s, self._suspected_s = now_s, inf

    def seen(self, now_s: float) -> None:
        """A token is here that is news."""
        if self._seen_s is not None:
            self._gaps_s.append(now_s - self._seen_s)
        self._seen_s = self._since_s = now_s
        self._searches, self._suspected_s = 0, inf

    def changed(self, now_s: float, *, is_loss: bool) -> None:
        """Others are linked now; with a loss somebody is gone who may have held the token."""
        self._searches = 0
        if is_loss:
            self._suspected_s = min(self._suspected_s, now_s + self._ack_timeout_s)

    def searched(self, now_s: float) -> None:
        """A search begins."""
        self._searches += 1
        self._since_s, self._suspected_s = now_s, inf

    def wait_s(self, now_s: float, members: int) -> float | None:
        """How long until it is time to ask, 0 if it is; None when there is no use in asking again."""
        if self._searches >= MAX_SEARCHES:
            return None
        usual_s = max(2 * max(self._gaps_s, default=0.0), self._ack_timeout_s * members)
        due_s = self._since_s + usual_s * float(2**self._searches)
        wait_s = min(due_s, self._suspected_s) - now_s
        return wait_s if wait_s > LEAST_S else 0.0
