"""How who has missed the final lap comes by the final model: it is offered until all neighbours have it.

A finished member offers the model, in a message without one, to the neighbours of which it does not know
that they have it: at once to whoever shows that it has missed the end, after a while to the others.  Who
lacks the model asks for it, and who has it says so; both answers may be lost, since the offer is repeated
after ``ack_timeout_s``, then twice, four and ``SLOWEST`` times that, ``MAX_OFFERS`` times in all.  A link
that comes up, or a neighbour that looks for the token, begins the count anew.  All these messages may be
late or doubled: an answer is only ever given for what is true when it is sent.
"""

from collections.abc import Collection

from p2pfl.events import Effect, Message, Send, SetTimer, View
from p2pfl.model import Model
from p2pfl.protocols.token import FINAL_KIND, HAVE_KIND, OFFER_KIND, REQUEST_KIND

OFFER_TIMER = "final_offer"
SLOWEST = 8  # times the acknowledgement's waiting time between two offers
MAX_OFFERS = 24  # of one count: with every third message lost, one in ten million neighbours misses all


class FinalOffers:
    """What a finished member knows of its neighbours' end, and the offers that are due."""

    def __init__(self, rounds: int, ack_timeout_s: float) -> None:
        self._rounds = rounds
        self._ack_timeout_s = ack_timeout_s
        self._done: set[str] = set()
        self._offers = 0  # since the count began

    def has_finished(self, member: str) -> None:
        """A member has shown that it has the final model."""
        self._done.add(member)

    def begin(self, view: View, *, but: str = "") -> list[Effect]:
        """This member has finished, or somebody may have missed the end: watch over the neighbours."""
        self._offers = 0
        return self._wait(view, but=but)

    def offer(self, view: View, members: Collection[str], *, but: str = "") -> list[Effect]:
        """Offer the model at once to those of ``members`` that are neighbours, linked, and not ``but``."""
        self._done -= set(members)
        owed = [to for to in self._owed(view, but=but) if to in members]
        return [Send(to, Message(OFFER_KIND, self._rounds)) for to in owed]

    def again(self, view: View, *, but: str) -> list[Effect]:
        """The time is over: repeat the offer to those who have not answered."""
        self._offers += 1
        offers: list[Effect] = [
            Send(to, Message(OFFER_KIND, self._rounds)) for to in self._owed(view, but=but)
        ]
        return [*offers, *self._wait(view, but=but)]

    def answer(self, sender: str, model: Model | None) -> list[Effect]:
        """The answer to an offer: ``model`` is this member's final one, if it has it."""
        kind = HAVE_KIND if model is not None else REQUEST_KIND
        return [Send(sender, Message(kind, self._rounds))]

    def hand(self, view: View, sender: str, model: Model) -> list[Effect]:
        """The answer to a request: the model, if an edge leads to who asks."""
        self._done.discard(sender)
        if sender not in view.neighbourhood(self._rounds).send_to:
            return []
        return [Send(sender, Message(FINAL_KIND, self._rounds, model), replaces=FINAL_KIND)]

    def _owed(self, view: View, *, but: str) -> list[str]:
        neighbours = view.neighbourhood(self._rounds).send_to
        return [to for to in neighbours if to in view.live and to not in self._done and to != but]

    def _wait(self, view: View, *, but: str) -> list[Effect]:
        if self._offers >= MAX_OFFERS or not (self._owed(view, but=but) or but):
            return []
        return [SetTimer(OFFER_TIMER, self._ack_timeout_s * min(2**self._offers, SLOWEST))]
