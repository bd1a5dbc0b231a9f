"""How a node that comes late takes part from the next round on: it asks one peer for the model and the round.

Late is a node without a history when a sender has gone on without it by ``JUMP`` rounds, and one that has
been restored when all its linked senders have, by ``FAR_BEHIND``.  It asks one of those senders, in words
(``join``), and takes the answer of that one only: its model at the beginning of the round that it is in, age
included, so that whoever comes late counts like everybody in that round and not like a beginner.  A model
with a history is not thrown away: it is averaged with the answer, each weighted by its age, so that the stale
one weighs less.  Whoever was there all the time and finds others ``FAR_BEHIND`` rounds ahead, as after a
partition, has learnt what they do not know: it asks nobody, takes only the number of their round, and mixes
its own model with theirs in that round by the weights of the graph, however many rounds either has done.

A training under way is let be and forgotten.  Who may not share its model, or has died, stays
silent: after ``answer_timeout_s``, or when its link breaks, the next is asked, ``MAX_ASKED`` in all; then the
node goes on with what it has.  Everybody is answered once per round, which bounds what asking costs.

Protocols that pass one model along need none of this: there the model of a member that comes late goes
nowhere, and the token that visits it brings the current one, age included.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from math import isfinite

import numpy as np

from p2pfl.events import Effect, Message, Send, SetTimer, View
from p2pfl.model import Model
from p2pfl.protocols.paths import round_that_proves
from p2pfl.protocols.patience import ROUND_TIMEOUT_S

JOIN_KIND = "join"  # words only: "which round is it, and what is the model?"
CURRENT_KIND = "current_model"  # the answer
JOIN_TIMER = "late_join"
JUMP = 2  # rounds ahead: one is the usual difference between neighbours
FAR_BEHIND = 8
MAX_ASKED = 3
MAX_ROUND = 2**32  # a greater number is nobody's round
UNPROVED = 4  # rounds ahead that are enough of a sender that never depends on us


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a node is, in ``round``, among its linked and accepted ``senders``.

    ``ahead`` are those that have gone on without it, with their rounds; who is in lockstep, only fast, is not
    among them.
    """

    round: int
    senders: int
    ahead: Mapping[str, int]

    @property
    def earliest(self) -> int | None:
        """The earliest round of all senders, if all have gone on without this node."""
        return min(self.ahead.values()) if self.ahead and len(self.ahead) == self.senders else None

    @property
    def onward(self) -> int | None:
        """The round to go on in, if all senders, or some by far, have gone on without this node."""
        far = [number for number in self.ahead.values() if number >= self.round + FAR_BEHIND]
        return min(far) if far else self.earliest


def standing(view: View, round: int, latest: Callable[[str], int]) -> Standing:
    """Look at ``latest``, the round of the latest word of each sender."""
    senders = [each for each in view.neighbourhood(round).receive_weights if each in view.live]
    senders = [each for each in senders if each in view.accepted]
    ahead = {}
    for sender in senders:
        number = latest(sender)
        if number >= round + JUMP:
            proof = round_that_proves(view, sender, round)
            if number >= (round + UNPROVED if proof is None else proof):
                ahead[sender] = number
    return Standing(round, len(senders), ahead)


class LateJoin:
    """Both sides of it, for one node: whom it has asked, and whom it has answered."""

    def __init__(self, answer_timeout_s: float, rounds: int, *, only_new: bool = False) -> None:
        is_bounded = answer_timeout_s > 0 and isfinite(answer_timeout_s)
        self._answer_timeout_s = answer_timeout_s if is_bounded else ROUND_TIMEOUT_S
        self._last = rounds or MAX_ROUND
        self._only_new = only_new  # whoever has a history keeps its model, however late it is
        self.is_new = True  # without a history: no snapshot, nothing merged yet
        self.is_back = False  # restored, nothing merged since
        self.asked = ""  # whose answer is awaited
        self._tried: set[str] = set()
        self._answered: set[str] = set()
        self._answered_round = -1

    def ask_if_late(self, where: Standing, has_shared: Callable[[str], bool]) -> list[Effect]:
        """Ask one of those who are ahead, unless somebody has been asked already."""
        if self.asked or not where.ahead:
            return []
        is_far = where.earliest is not None and where.earliest >= where.round + FAR_BEHIND
        is_late = self.is_new or (is_far and self.is_back and not self._only_new)
        return self.ask(where, has_shared) if is_late else []

    def ask(self, where: Standing, has_shared: Callable[[str], bool]) -> list[Effect]:
        """Ask, for the first time or since no answer has come; nothing when there is nobody left to ask.

        First those who are known to share their models with this node.
        """
        able = sorted(where.ahead.keys() - self._tried, key=lambda each: (not has_shared(each), each))
        self.asked = able[0] if able and len(self._tried) < MAX_ASKED else ""
        if not self.asked:
            return []
        self._tried.add(self.asked)
        question = Message(JOIN_KIND, where.round)
        return [Send(self.asked, question, replaces=JOIN_KIND), SetTimer(JOIN_TIMER, self._answer_timeout_s)]

    def restored(self) -> None:
        """The node has a history, and was away."""
        self.is_new, self.is_back = False, True

    def keep_only(self, linked: Set[str]) -> None:
        """A new link may belong to a node that has lost its memory: it is answered anew."""
        self._answered &= linked

    def taken(self, sender: str, message: Message, *, round: int, own: Model) -> Model | None:
        """What the awaited answer makes of this node's model, if it brings the node forward."""
        model = message.model
        if sender != self.asked or model is None or not round < message.round <= self._last:
            return None
        if model.params.shape != own.params.shape or (self.is_new and model.age < own.age):
            return None
        share = 0.0 if self.is_new or self._only_new else own.age / max(1, own.age + model.age)
        self.is_in_touch()
        params = model.params
        if share:
            params = np.float32(share) * own.params + np.float32(1 - share) * params
        return Model(params, max(model.age, own.age), own.weight)

    def is_in_touch(self) -> None:
        """The node has come where the others are."""
        self.is_new = self.is_back = False
        self.asked = ""
        self._tried.clear()

    def answer(self, sender: str, question: Message, *, round: int, model: Model) -> list[Effect]:
        """What the one who is asked says; ``model`` is its own at the beginning of its ``round``."""
        if round != self._answered_round:
            self._answered.clear()
            self._answered_round = round
        if sender in self._answered or question.round >= round:
            return []
        self._answered.add(sender)
        return [Send(sender, Message(CURRENT_KIND, round, model), replaces=CURRENT_KIND)]
