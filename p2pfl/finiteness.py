"""No number that is none: a model with NaN or infinity in it neither enters a node nor leaves it.

Nor does one come in whose parameters are not as many as this node's, or ``TOO_LARGE`` times as large, in root
mean square: it would be all that is left of a mean.  From a peer such a model is refused and counted, before
anything is merged; ``STRIKES`` of them mute the peer, whose models are then refused unread until this node
has done ``MUTED_ROUNDS`` more rounds.  Out of the node's own training it is put back: the protocol gets the
model that was given, age unchanged, as after any failed training.  What a merge of finite models has made
infinite is not sent.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from math import isfinite, sqrt
from types import MappingProxyType

import numpy as np

from p2pfl.events import Adopt, Effect, Message, Send, Train
from p2pfl.model import Array, Model

STRIKES = 3
MUTED_ROUNDS = 10
TOO_LARGE = 1e6  # times the root mean square of this node's own parameters, or 1 if that is more
MAX_NEWS = 64  # refusals that nobody has asked for yet


# Why a model did not come in, for the operator.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "not_finite": "its model is not finite",
        "wrong_shape": "its model has another number of parameters",
        "too_large": f"its model is more than {TOO_LARGE:,.0f} times as large as ours",
        "muted": "it is muted for such models",
    }
)


def is_finite(array: Array) -> bool:
    """Are all numbers of an array numbers?"""
    return array.dtype.kind != "f" or isfinite(_size(array)) or bool(np.isfinite(array).all())


def is_finite_model(model: Model) -> bool:
    """Is every parameter a number, and the weight too?"""
    return isfinite(model.weight) and is_finite(model.params)


def is_finite_message(message: Message) -> bool:
    """Is everything that a message carries finite?"""
    return (message.model is None or is_finite_model(message.model)) and all(map(is_finite, message.body))


class FiniteGate:
    """The gate of one node, for both directions and for its own training."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()  # sender -> messages that did not come in
        self.reasons: Counter[str] = Counter()  # why -> the same messages
        self.withheld = 0  # messages that did not go out
        self.rolled_back = 0  # trainings whose model was put back
        self._strikes: Counter[str] = Counter()
        self._muted: dict[str, int] = {}  # sender -> the round in which it is heard again
        self._news: deque[tuple[str, str]] = deque(maxlen=MAX_NEWS)
        self._round = 0
        self._given: Model | None = None  # what the training under way began with
        self._own: Model | None = None  # what others' models are compared with
        self._measured: Model | None = None  # to which the limit belongs
        self._limit = TOO_LARGE
        self._known: Message | None = None  # the last message found finite: it goes to many

    @property
    def muted(self) -> frozenset[str]:
        """Whose models are refused for now, and not to be waited for."""
        if not self._muted:
            return frozenset()
        return frozenset(sender for sender, until in self._muted.items() if until > self._round)

    def is_muted(self, sender: str) -> bool:
        """Are the models of a sender refused for now?"""
        return self._muted.get(sender, 0) > self._round

    def objection(self, sender: str, message: Message) -> str:
        """Why the arrays of a message do not come in: ``muted`` or one of ``REASONS``; "" if they do."""
        if self._muted and self.is_muted(sender):
            self._refuse(sender, "muted")
            return "muted"
        fault = self._fault(message)
        if not fault:
            return ""
        self._strikes[sender] += 1
        self._refuse(sender, fault)
        if self._strikes[sender] >= STRIKES:
            self._strikes[sender] = 0
            self._muted[sender] = self._round + MUTED_ROUNDS
        return fault

    def trained(self, model: Model) -> Model:
        """What the protocol gets of a training: its model, or the one that it began with."""
        given, self._given = self._given, None
        if given is None or is_finite_model(model):
            return model
        self.rolled_back += 1
        return given

    def filtered(self, effects: Iterable[Effect]) -> list[Effect]:
        """The effects without the sends that may not leave."""
        return [effect for effect in effects if self._may_leave(effect)]

    def take_news(self) -> list[tuple[str, str]]:
        """Refusals since the last call: (sender, one of ``REASONS``)."""
        news = list(self._news)
        self._news.clear()
        return news

    def _fault(self, message: Message) -> str:
        """Why the arrays of a message may not come in; empty if they may."""
        model, own, arrays = message.model, self._own, message.body
        if model is not None:
            if own is not None and model.params.shape != own.params.shape:
                return "wrong_shape"
            if not isfinite(model.weight):
                return "not_finite"
            arrays = (model.params, *arrays)
        if own is not None and own is not self._measured:
            self._measured, self._limit = own, TOO_LARGE * max(1.0, _size(own.params))
        for array in arrays:  # one pass over the memory, if nothing is wrong
            if not _size(array) <= self._limit:
                return "too_large" if all(map(is_finite, arrays)) else "not_finite"
        return ""

    def _refuse(self, sender: str, why: str) -> None:
        self.refused[sender] += 1
        self.reasons[why] += 1
        self._news.append((sender, why))

    def _may_leave(self, effect: Effect) -> bool:
        match effect:
            case Train(model):
                self._given = self._own = model
            case Adopt(model, round):
                self._round, self._own = round, model
            case Send(_, message) if message is not self._known and (message.model or message.body):
                if not is_finite_message(message):
                    self.withheld += 1
                    return False
                self._known = message
            case _:
                pass
        return True


def _size(array: Array) -> float:
    """The root mean square; infinite where squares are too large for the type; 0 of what are no floats.

    If it is finite, so is every number.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return 0.0
    return sqrt(np.vdot(array, array) / array.size)  # unlike dot, silent when it overflows
