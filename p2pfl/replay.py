"""Marks against repetition: per sender, the (start, sequence) of the last message with arrays that came in.

A later one must be above it: an offer recorded and played again, or a message that comes twice over two
links, changes nothing.  The mark moves when a message is handed to the protocol, and is stored in the same
file as what the protocol made of it.  No clock has a part in it.
"""

from collections.abc import Mapping

from p2pfl.errors import RemoteError
from p2pfl.model import Scalar

MAX_MARKS = 4096  # senders; the one that was heard longest ago gives way
KEY = "node.marks"


class RepeatedError(RemoteError):
    """A message is not above the ``mark`` of its sender, who is told it: it may have lost its own numbers."""

    def __init__(self, what: str, mark: tuple[int, int]) -> None:
        super().__init__(what, code="duplicate")
        self.mark = mark


class Marks:
    """The marks of one node; sequence 0 stands for none, and is never a repetition."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[int, int]] = {}  # the sender heard longest ago first

    @property
    def senders(self) -> frozenset[str]:
        """Whose messages have come in."""
        return frozenset(self._marks)

    def mark(self, sender: str) -> tuple[int, int]:
        """The last (start, sequence) of a sender; (0, 0) before the first."""
        return self._marks.get(sender, (0, 0))

    def is_repeated(self, sender: str, start: int, sequence: int) -> bool:
        """Is this message not above the sender's mark?"""
        return sequence > 0 and (start, sequence) <= self.mark(sender)

    def take(self, sender: str, start: int, sequence: int) -> bool:
        """A message is to be handed over: False if it is repeated, else its mark is the sender's now."""
        if sequence == 0 and sender in self._marks:
            return True
        if self.is_repeated(sender, start, sequence):
            return False
        self.move(sender, start, sequence)
        return True

    def move(self, sender: str, start: int, sequence: int) -> None:
        """A message has been handed over."""
        mark = max(self.mark(sender), (start, sequence))
        self._marks.pop(sender, None)
        self._marks[sender] = mark
        if len(self._marks) > MAX_MARKS:
            del self._marks[next(iter(self._marks))]

    def values(self) -> Mapping[str, Scalar | list[Scalar]]:
        """The marks as plain values for a snapshot."""
        return {
            f"{KEY}.senders": list(self._marks),
            f"{KEY}.starts": [start for start, _ in self._marks.values()],
            f"{KEY}.sequences": [sequence for _, sequence in self._marks.values()],
        }

    def restore(self, values: Mapping[str, Scalar | list[Scalar]]) -> None:
        """Take up the marks of a snapshot; none are there in one of an earlier version."""
        senders, starts, sequences = (_listed(values, name) for name in ("senders", "starts", "sequences"))
        for sender, start, sequence in zip(senders, starts, sequences, strict=False):
            if isinstance(sender, str) and isinstance(start, int) and isinstance(sequence, int):
                self._marks[sender] = start, sequence


def _listed(values: Mapping[str, Scalar | list[Scalar]], name: str) -> list[Scalar]:
    found = values.get(f"{KEY}.{name}", [])
    return found if isinstance(found, list) else []
