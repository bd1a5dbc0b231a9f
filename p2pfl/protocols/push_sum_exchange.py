"""One round of push-sum under way."""

from p2pfl.events import Neighbourhood, View
from p2pfl.protocols.patience import linked_senders


class Exchange:
    """One round under way: its neighbourhood, and how far the exchange of the step has come."""

    __slots__ = (
        "has_sent",
        "is_alone",
        "is_training",
        "is_void",
        "merged",
        "missing",
        "neighbourhood",
        "waited_for",
    )

    def __init__(self, neighbourhood: Neighbourhood, has_sent: set[str] | None = None) -> None:
        self.neighbourhood = neighbourhood
        self.has_sent = set() if has_sent is None else has_sent  # the totals of this step
        self.waited_for: set[str] = set()  # in this step
        self.merged: set[str] = set()  # in this round
        self.missing: set[str] = set()
        self.is_training = True  # until the first exchange of the round
        self.is_void = False  # the training under way: a later model has come
        self.is_alone = False  # there are senders, and a link to none of them

    def look(self, view: View, round: int, *, may_be_alone: bool) -> tuple[set[str], bool]:
        """The senders that may be waited for; and has a link come up to a node that had none?"""
        senders, is_alone = linked_senders(self.neighbourhood, view, round)
        was_alone, self.is_alone = self.is_alone, is_alone and may_be_alone
        return senders, was_alone and not self.is_alone

    def untold(self, view: View, round: int) -> list[str]:
        """The linked receivers that have not been sent the totals of this step; now they count as told.

        Also those whom a change of the graph made receivers meanwhile: they may wait for us already.
        """
        receivers = dict.fromkeys((*self.neighbourhood.send_to, *view.neighbourhood(round).send_to))
        untold = [to for to in receivers if to in view.live and to not in self.has_sent]
        self.has_sent.update(untold)
        return untold

    def end_step(self, missing: set[str]) -> None:
        """The exchange of a step is over, without these; the next one has told nobody yet."""
        self.missing |= missing
        self.waited_for, self.has_sent = set(), set()
