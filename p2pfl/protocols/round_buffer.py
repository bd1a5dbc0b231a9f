"""Models that have arrived, by sender and round, until the round that they belong to mixes them."""

from p2pfl.model import Model

KEPT_ROUNDS = 4  # per sender


class RoundBuffer:
    """Keeps the models of the latest ``KEPT_ROUNDS`` rounds of each sender; a repetition changes nothing."""

    def __init__(self) -> None:
        self._models: dict[str, dict[int, Model]] = {}
        self._latest: dict[str, int] = {}

    def add(self, sender: str, round: int, model: Model) -> None:
        """Keep a model unless one of that sender and round is there already, or it is too old."""
        kept = self._models.setdefault(sender, {})
        self.note(sender, round)
        kept.setdefault(round, model)
        if len(kept) > KEPT_ROUNDS:
            del kept[min(kept)]

    def note(self, sender: str, round: int) -> None:
        """Remember that a sender has come as far as this round."""
        self._latest[sender] = max(round, self._latest.get(sender, round))

    def get(self, sender: str, round: int) -> Model | None:
        """The model of a sender for a round, if it has arrived."""
        return self._models.get(sender, {}).get(round)

    def has_model(self, sender: str) -> bool:
        """Is any model of a sender here?"""
        return bool(self._models.get(sender))

    def latest(self, sender: str) -> int:
        """The latest round of which a sender's message is known; -1 before the first."""
        return self._latest.get(sender, -1)

    def forget_before(self, round: int) -> None:
        """Drop the models of earlier rounds; what is known of the senders stays."""
        for kept in self._models.values():
            for old in [each for each in kept if each < round]:
                del kept[old]

    def keep_only(self, senders: frozenset[str]) -> None:
        """Drop all that is known of anybody else."""
        for sender in [each for each in self._latest if each not in senders]:
            del self._latest[sender]
            self._models.pop(sender, None)
