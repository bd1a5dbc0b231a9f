"""What a running node tells: its journal, its log, and the figures that ``status`` adds to a peer's own."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

from node_daemon.control_client import Json
from node_daemon.journal import Journal
from node_daemon.logs import Fact, log_event
from node_daemon.problems import Problems
from p2pfl.errors import StateError

TREND_ROUNDS = 10
RATE_WINDOW_S = 60.0
MAX_SAMPLES = 256
LAG_WARNING_S = 1.0  # a node that stands still for less is told of, and is nothing to look at
# Events that an operator should look at; everything else is information.
WARNINGS = frozenset(
    {
        "peer.pending",
        "peer.refused",
        "trust.empty",
        "config.unchanged",
        "loop.lag",
        "train.failed",
        "state.degraded",
        "discovery.failed",
        "journal.failed",
        "link.failed",
    }
)
DETAILS = frozenset({"peer.unreachable"})  # back-off reports them often


class Monitor:
    """Receives the events of one node; ``watcher`` is told of each before it is logged."""

    def __init__(
        self,
        journal: Journal,
        watcher: Callable[[str, Mapping[str, object]], None],
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._watcher = watcher
        self.problems = Problems()
        self._now_s = now_s
        self._logger = logging.getLogger("p2pnode")
        self._started_s = now_s()
        self._round_s = self._started_s
        self._accuracies: deque[tuple[int, float]] = deque(maxlen=TREND_ROUNDS + 1)
        self._degraded = ""
        self._rolled_back = 0
        self._traffic: deque[tuple[float, int, int]] = deque(maxlen=MAX_SAMPLES)

    def report(self, event: str, facts: Mapping[str, object]) -> None:
        """Write an event down: all facts to the journal, those for people to the log."""
        try:
            self._journal.append(event, **cast(Mapping[str, Fact], facts))
        except StateError as error:
            log_event(self._logger, logging.WARNING, "journal.failed", msg=str(error))
        if event in ("state.degraded", "state.recovered"):
            self._degraded = str(facts.get("reason", ""))
        if isinstance(count := facts.get("rolled_back"), int):
            self._rolled_back = count
        shown = self._round_facts(facts) if event == "round.done" else dict(facts)
        level = logging.WARNING if event in WARNINGS else logging.INFO
        if event in DETAILS and facts.get("peer"):  # an address without a peer is one that somebody named
            level = logging.DEBUG
        if event == "loop.lag" and cast(float, facts.get("worst_s", 0.0)) < LAG_WARNING_S:
            level = logging.INFO
        self.problems.note(event, facts)
        self._watcher(event, facts)
        log_event(self._logger, level, event, **cast(Mapping[str, Fact], shown))

    def sample(self, bytes_sent: int, bytes_received: int) -> None:
        """Take note of the traffic so far, for the rates of the last minute."""
        self._traffic.append((self._now_s(), bytes_sent, bytes_received))
        while len(self._traffic) > 2 and self._now_s() - self._traffic[1][0] > RATE_WINDOW_S:
            self._traffic.popleft()

    def figures(self) -> dict[str, Json]:
        """Uptime, what the disk refuses, rates of the last minute, and the trend of the accuracy."""
        found: dict[str, Json] = {"uptime_s": round(self._now_s() - self._started_s, 3)}
        found |= {"degraded": self._degraded, "rolled_back": self._rolled_back}
        found |= {"sent_bytes_per_s": None, "received_bytes_per_s": None}
        if len(self._traffic) > 1:
            (begin_s, sent, received), (end_s, sent_now, received_now) = self._traffic[0], self._traffic[-1]
            span_s = max(end_s - begin_s, 1e-3)
            found["sent_bytes_per_s"] = (sent_now - sent) / span_s
            found["received_bytes_per_s"] = (received_now - received) / span_s
        if len(self._accuracies) > 1:
            (first, before), (last, now) = self._accuracies[0], self._accuracies[-1]
            found |= {"accuracy_change": now - before, "change_rounds": last - first}
        return found

    def _round_facts(self, facts: Mapping[str, object]) -> dict[str, object]:
        """A round in one line: loss, accuracy, how many models went in, who was missing, how long it took."""
        now_s = self._now_s()
        shown: dict[str, object] = {"round": facts.get("round")}
        shown |= {name: facts[name] for name in ("loss", "accuracy") if name in facts}
        merged, missing = facts.get("merged"), facts.get("missing")
        shown["merged"] = len(merged) if isinstance(merged, list) else 0
        if isinstance(missing, list) and missing:
            shown["missing"] = [str(peer)[:7] for peer in missing]
        shown["elapsed_s"] = now_s - self._round_s
        self._round_s = now_s
        number, accuracy = facts.get("round"), facts.get("accuracy")
        if isinstance(number, int) and isinstance(accuracy, float):
            self._accuracies.append((number, accuracy))
        return shown
