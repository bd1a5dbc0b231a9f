"""Totals that have arrived and wait for the exchange that merges them, by sender and step."""

from p2pfl.protocols.push_sum_book import Totals

KEPT_STEPS = 4  # per sender; what is dropped comes with the next, since totals hold all that was before


class Inbox:
    """Keeps the totals of the latest ``KEPT_STEPS`` steps of each sender."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, tuple[Totals, int]]] = {}
        self._latest: dict[str, int] = {}

    def add(self, sender: str, step: int, totals: Totals, *, age: int) -> None:
        """Keep totals with the age of the model behind them; of one step those with the highest number."""
        kept = self._kept.setdefault(sender, {})
        self.note(sender, step)
        known = kept.get(step)
        if known is None or (totals.ledger, totals.number) > (known[0].ledger, known[0].number):
            kept[step] = totals, age
        if len(kept) > KEPT_STEPS:
            del kept[min(kept)]

    def note(self, sender: str, step: int) -> None:
        """Remember that a sender has come as far as this step."""
        self._latest[sender] = max(step, self._latest.get(sender, step))

    def has_totals(self, sender: str) -> bool:
        """Have any totals of a sender come that are not merged yet?"""
        return bool(self._kept.get(sender))

    def latest(self, sender: str) -> int:
        """The latest step of which a sender's message is known; -1 before the first."""
        return self._latest.get(sender, -1)

    def take_until(self, step: int) -> list[tuple[str, Totals, int]]:
        """What belongs to this step or an earlier one, by sender and number; it is gone then."""
        taken = []
        for sender in sorted(self._kept):
            kept = self._kept[sender]
            due = [kept.pop(each) for each in list(kept) if each <= step]
            due.sort(key=lambda found: (found[0].ledger, found[0].number))
            taken += [(sender, totals, age) for totals, age in due]
        return taken

    def keep_only(self, senders: frozenset[str]) -> None:
        """Drop all that is known of anybody else."""
        for sender in [each for each in self._latest if each not in senders]:
            del self._latest[sender]
            self._kept.pop(sender, None)
