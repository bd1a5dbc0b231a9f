"""The two halves of the exchange of bodies over one link, sans-IO: what may be said next, and by whom.

Sending: one offer at a time is open on a link.  It is accepted, and its body sent; or it is rejected, and
gone; or the other side is busy, and it is offered again after a rest.  Messages keep their order: what stands
behind an open offer waits for it.  Bodies whose receipt has not come are counted, and too many of them make
the next offer wait.

Receiving: an offer is rejected, accepted, or, while there is no memory, kept waiting for a while.  Exactly
one body follows an acceptance, and exactly one receipt is given for a body.

What does not belong raises RemoteError, which ends the link.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from p2pfl.errors import RemoteError
from p2pfl.replay import RepeatedError
from p2pfl.wire.limits import Limits
from p2pfl.wire.outbox import Outbox
from p2pfl.wire.packets import BUSY, Accept, Offer, Receipt, Reject

Item = TypeVar("Item")
Answer: TypeAlias = Accept | Reject


@dataclass(frozen=True, slots=True, eq=False)
class Parcel(Generic[Item]):
    """A message on its way out; ``sequence`` is None for one of words, which needs no offer."""

    item: Item
    sequence: int | None = None
    replaces: str = ""


class SendingHalf(Generic[Item]):
    """What waits to be sent to one peer, and how far the open offer has come."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._messages: Outbox[Parcel[Item]] = Outbox(limits)
        self._open: Parcel[Item] | None = None
        self._is_accepted = False
        self._is_resting = False
        self._unanswered: deque[int | None] = deque()  # sequences of bodies sent

    @property
    def waiting(self) -> int:
        """Messages that have not begun to be sent; an open offer is not among them."""
        return len(self._messages)

    @property
    def dropped(self) -> int:
        """Messages dropped for want of room."""
        return self._messages.dropped

    @property
    def is_idle(self) -> bool:
        """Does nothing wait, and is no offer open?"""
        return not self._messages and self._open is None

    @property
    def is_resting(self) -> bool:
        """Must some time pass before the next message, since the other side was busy?"""
        return self._is_resting

    def put(self, item: Item, *, sequence: int | None, replaces: str = "") -> None:
        """Queue a message; an unsent one with the same non-empty key, or the oldest of many, is dropped."""
        self._messages.put(Parcel(item, sequence, replaces), replaces)

    def next(self) -> Parcel[Item] | None:
        """What may be sent now: a message of words, or one to be offered, whose offer is open from now on."""
        if self._open is not None or self._is_resting:
            return None
        parcel = self._messages.pop()
        if parcel is None or parcel.sequence is None:
            return parcel
        if len(self._unanswered) >= self._limits.unanswered_models:
            self._messages.put_back(parcel, parcel.replaces)
            return None
        self._open, self._is_accepted = parcel, False
        return parcel

    def withdraw(self) -> None:
        """The open offer was not made after all, or its body will not be sent: the next message may go."""
        self._open = None

    def accepted(self, sequence: int) -> Item:
        """The other side wants the body: what was offered."""
        parcel = self._answered(sequence)
        self._is_accepted = True
        return parcel.item

    def body_sent(self) -> None:
        """The last of the body is on its way."""
        assert self._open is not None
        assert self._is_accepted
        self._unanswered.append(self._open.sequence)
        self._open = None

    def rejected(self, answer: Reject) -> Item:
        """The other side does not want what was offered; if only busy, it is offered again later."""
        parcel = self._answered(answer.sequence)
        self._open = None
        if answer.code == BUSY:
            self._is_resting = True
            self._messages.put_back(parcel, parcel.replaces)
        return parcel.item

    def rested(self) -> None:
        """The time after ``busy`` is over."""
        self._is_resting = False

    def receipt(self, receipt: Receipt) -> None:
        """The other side has said what became of a body."""
        if receipt.sequence not in self._unanswered:
            raise _misplaced(f"a receipt for {receipt.sequence}, which is not awaited")
        self._unanswered.remove(receipt.sequence)

    def clear(self) -> None:
        """Drop all that waits, and the open offer."""
        self._messages.clear()
        self._open = None

    def _answered(self, sequence: int) -> Parcel[Item]:
        if self._open is None or self._is_accepted or self._open.sequence != sequence:
            raise _misplaced(f"an answer to offer {sequence}, which is not open")
        return self._open


class _Stage(Enum):
    NONE = "none"
    OFFERED = "offered"
    WAITING = "waiting"  # for memory
    ACCEPTED = "accepted"  # its body comes next


class ReceivingHalf:
    """How far the offer of the other side has come, and which receipts it is owed.

    ``reserve`` finds memory for the body of an offer, or says False.
    """

    def __init__(self, limits: Limits, reserve: Callable[[Offer], bool]) -> None:
        self._limits = limits
        self._reserve = reserve
        self._stage = _Stage.NONE
        self._offer: Offer | None = None
        self._patience_s = 0.0  # until when it waits for memory
        self._owed: deque[int] = deque()
        self.busy = 0  # offers for which there was no memory in time

    @property
    def is_idle(self) -> bool:
        """Is no offer open?"""
        return self._stage is _Stage.NONE

    @property
    def is_waiting(self) -> bool:
        """Does an offer wait for memory?"""
        return self._stage is _Stage.WAITING

    @property
    def patience_s(self) -> float:
        """Until when the offer that waits may wait: ``retry`` then at the latest."""
        return self._patience_s

    @property
    def is_accepted(self) -> bool:
        """Is a body under way?"""
        return self._stage is _Stage.ACCEPTED

    @property
    def size_bytes(self) -> int:
        """Of the body that comes next; 0 when none does."""
        return self._offer.size_bytes if self._offer and self._stage is _Stage.ACCEPTED else 0

    def offered(self, offer: Offer) -> None:
        """An offer has come; ``decide`` on it before anything else."""
        if self._stage is not _Stage.NONE:
            raise _misplaced(f"offer {offer.sequence} while another is open")
        self._offer, self._stage = offer, _Stage.OFFERED

    def decide(self, objection: RemoteError | None, now_s: float) -> Answer | None:
        """The answer to the offer; None when it must wait for memory."""
        assert self._offer is not None
        assert self._stage is _Stage.OFFERED
        if objection is not None:
            mark = objection.mark if isinstance(objection, RepeatedError) else (0, 0)
            return self._reject(self._offer, objection.code, objection.what, mark=mark)
        self._stage, self._patience_s = _Stage.WAITING, now_s + self._limits.offer_wait_s
        return self.retry(now_s)

    def retry(self, now_s: float) -> Answer | None:
        """The answer to the offer that waits, if there is memory now or time is over; else None."""
        if self._offer is None or self._stage is not _Stage.WAITING:
            return None
        if self._reserve(self._offer):
            self._stage = _Stage.ACCEPTED
            return Accept(self._offer.sequence)
        if now_s >= self._patience_s:
            self.busy += 1
            return self._reject(self._offer, BUSY, "no memory for another model now")
        return None

    def check_body(self) -> None:
        """A piece of a body has come: raises RemoteError unless one was accepted."""
        if self._stage is not _Stage.ACCEPTED:
            raise _misplaced("a body that was not accepted")

    def arrived(self) -> None:
        """The body has arrived whole: a receipt is owed."""
        assert self._offer is not None
        self._owed.append(self._offer.sequence)
        self._offer, self._stage = None, _Stage.NONE

    def settle(self, sequence: int) -> bool:
        """A receipt is given; False when none is owed."""
        if sequence not in self._owed:
            return False
        self._owed.remove(sequence)
        return True

    def _reject(self, offer: Offer, code: str, text: str, *, mark: tuple[int, int] = (0, 0)) -> Reject:
        self._offer, self._stage = None, _Stage.NONE
        return Reject(offer.sequence, code, text, mark)


def _misplaced(what: str) -> RemoteError:
    return RemoteError(what, code="unexpected_frame")
