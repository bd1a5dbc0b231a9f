"""The books of push-sum: what a node has pushed to whom since when, and what it has had from whom.

A message carries all that was ever pushed over its link, not one share; the receiver adds the difference to
what it has had already.  Loss, repetition and reordering then only delay mass, and at all times

    sum of the nodes' weights + sum over the links (pushed - had) = sum of the starting weights.

Ledgers.  Totals are per link and begin at 0 with a new ledger: when the link is first used, and when the
receiver turns out to have lost its memory.  A ledger is 16 bytes that only grow: the number of this start of
the node, then a counter.  It is stored beside the totals, so that a restart from the store keeps it; only a
fresh start begins with a new one.  Each receiver likewise gives each of its senders a mark, which says in
which life of the receiver a total counts: totals under another mark are not for this life, and the sender
that learns of a newer mark begins a new ledger.  A sender that has had no answer yet names an empty mark.

All links over which the same has been pushed share one array; arrays are never changed in place.

Reference: Hadjicostis, Vaidya, Dominguez-Garcia, "Robust distributed average consensus via exchange of
running sums", 2016.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_UNANSWERED = 8  # pushes to somebody who never answers: who does not accept us would swallow mass for ever
MAX_DEPARTED = 16  # members that are gone and whose accounts are kept, in each direction
UNKNOWN = b""  # a mark that is not known yet, below every other

Vector: TypeAlias = NDArray[np.float64]  # [P]


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """All that has been pushed over one link in one ledger; ``number`` counts the pushes."""

    ledger: bytes
    number: int
    params: Vector
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """A sender's side of a link."""

    totals: Totals
    mark: bytes = UNKNOWN
    unanswered: int = 0  # pushes until the receiver's mark was known


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A receiver's side of a link: the mark it gave to the sender, and the totals it has had."""

    mark: bytes
    totals: Totals


class Book:
    """What one node holds - a sum and a weight - and both sides of all its links."""

    def __init__(self, start: int, held: Vector, weight: float) -> None:
        self.epoch = (start, 1)
        self.held = held
        self.weight = weight
        self.outgoing: dict[str, Outgoing] = {}
        self.incoming: dict[str, Incoming] = {}
        self._nothing = np.zeros(held.size)

    def add(self, change: Vector) -> None:
        """Add to the sum, and nothing to the weight."""
        self.held = self.held + change

    def to(self, receiver: str) -> Outgoing:
        """The account of a receiver, opened when there is none."""
        account = self.outgoing.get(receiver)
        if account is None:
            account = self.outgoing[receiver] = Outgoing(self._empty(self._ledger()))
        return account

    def open_to(self, receivers: Iterable[str]) -> list[str]:
        """Those who may be pushed to: all but who has left too many pushes unanswered."""
        return [each for each in receivers if self.to(each).unanswered < MAX_UNANSWERED]

    def push(self, receivers: Sequence[str]) -> None:
        """Keep one of equal shares and add the others to the totals of the receivers."""
        share = 1.0 / (1 + len(receivers))
        self.held, self.weight = self.held * share, self.weight * share
        grown: dict[int, Vector] = {}  # equal totals are one array, and remain so
        for receiver in receivers:
            account = self.to(receiver)
            old = account.totals
            new = grown.get(id(old.params))
            if new is None:
                new = grown[id(old.params)] = old.params + self.held
            totals = Totals(old.ledger, old.number + 1, new, old.weight + self.weight)
            unanswered = account.unanswered + (account.mark == UNKNOWN)
            self.outgoing[receiver] = Outgoing(totals, account.mark, unanswered)

    def learn_mark(self, receiver: str, mark: bytes) -> None:
        """A receiver has said under which mark its totals count; a newer life of it gets a new ledger."""
        account = self.outgoing.get(receiver)
        if account is None or mark <= account.mark:
            return
        if account.mark == UNKNOWN:
            self.outgoing[receiver] = Outgoing(account.totals, mark)
        else:
            self._turn()
            self.outgoing[receiver] = Outgoing(self._empty(self._ledger()), mark)

    def mark_for(self, sender: str) -> bytes:
        """The mark under which a sender's totals count here."""
        account = self.incoming.get(sender)
        if account is None:
            account = self.incoming[sender] = Incoming(self._ledger(), self._empty(UNKNOWN))
        return account.mark

    def take(self, sender: str, totals: Totals) -> bool:
        """Add what a sender's totals hold beyond those had before, which they replace; are they news?"""
        mark = self.mark_for(sender)
        had = self.incoming[sender].totals
        if totals.ledger != had.ledger:
            had = self._empty(totals.ledger if totals.ledger > had.ledger else had.ledger)
        if totals.ledger != had.ledger or totals.number <= had.number or totals.weight < had.weight:
            return False
        self.incoming[sender] = Incoming(mark, totals)
        self.held = self.held + (totals.params - had.params)
        self.weight += totals.weight - had.weight
        return True

    def keep(self, members: Iterable[str]) -> bool:
        """Close the oldest accounts of who is no member, if there are too many; was one closed?"""
        present = set(members)
        closed = [_close_departed(accounts, present) for accounts in (self.outgoing, self.incoming)]
        if any(closed):
            self._turn()  # whoever comes back is met as if for the first time
        return any(closed)

    def mass(self) -> tuple[float, Mapping[str, float], Mapping[str, float]]:
        """The weight that is held; totals of weight pushed, per receiver, and had, per sender."""
        pushed = {to: account.totals.weight for to, account in self.outgoing.items()}
        had = {sender: account.totals.weight for sender, account in self.incoming.items()}
        return self.weight, pushed, had

    def _ledger(self) -> bytes:
        start, turn = self.epoch
        return start.to_bytes(8, "big") + turn.to_bytes(8, "big")

    def _turn(self) -> None:
        self.epoch = (self.epoch[0], self.epoch[1] + 1)

    def _empty(self, ledger: bytes) -> Totals:
        return Totals(ledger, 0, self._nothing, 0.0)


def _close_departed(accounts: dict[str, Outgoing] | dict[str, Incoming], present: set[str]) -> bool:
    departed = [each for each in accounts if each not in present]
    for each in departed[: max(0, len(departed) - MAX_DEPARTED)]:
        del accounts[each]
    return len(departed) > MAX_DEPARTED
