"""An observer of one-way trust that knows nothing of the gates: numbers show whose models went into a model.

Whatever arrives with parameters is stamped on its way, before the node sees it: all that it held is wiped
out, and the place of its direct sender gets a number that nothing else has.  Local training wipes the stamps
of earlier rounds where models are averaged, and keeps them where a model is passed on.  An adopted model then
has numbers in the places of exactly those whose models were merged since, which must be the accepted ones;
and they must be those that ``Adopt.merged`` names.  The lists are taken as they are put into force, and read
without the methods that the gates use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from p2pfl.events import Adopt, Message, Received, Send
from p2pfl.membership import LinkUp
from p2pfl.model import Array, Model
from p2pfl.node import Node, NodeEffect, NodeInput
from p2pfl.trust import Trust, TrustChanged

PASSED_ON = ("cyclic_pass", "random_walk")  # protocols in which a model is handed on, not averaged
STEP = 1000.0  # between the running totals of push-sum, each of which counts what was before too
LEAST = 1e-3  # of a stamp; below it a number is what rounding has left of an earlier one


class BreachError(AssertionError):
    """A model went where it may not, or came from where it may not come."""


@dataclass(eq=False)
class Observer:
    """Stamps and checks for all nodes of one run; counts what it has seen, so that a run shows something."""

    members: Sequence[str]
    protocol: str
    arrivals: int = 0
    unwanted: int = 0  # arrivals from somebody who is not accepted
    merged: int = 0
    last: dict[str, Array] = field(default_factory=dict)  # stamps of the model adopted last

    @property
    def parameters(self) -> int:
        """A place per member, and one that training counts in."""
        return len(self.members) + 1

    def start(self) -> Model:
        """Nobody's stamps."""
        return Model(np.zeros(self.parameters, np.float32))

    def train(self, member: str, model: Model) -> Model:
        """Count, and wipe out stamps unless the model is passed on; those of push-sum by the weight."""
        params = model.params.copy()
        if self.protocol not in PASSED_ON:
            share = model.weight if self.protocol == "push_sum" else 1.0
            params[:-1] -= np.float32(share) * params[:-1]
        params[-1] += 1
        return Model(params, model.age + 1, model.weight)

    def stamped(self, sender: str, message: Message) -> Message:
        """The message with nothing in it but who sent it."""
        self.arrivals += 1
        number = message.fields.get("number")
        value = STEP * number if message.body and isinstance(number, int) else float(self.arrivals)
        place = self.members.index(sender)
        arrays = [np.zeros_like(array) for array in message.body]
        for array in arrays:
            array[place] = value
        model = message.model
        if model is not None:
            params = np.zeros_like(model.params)
            params[place] = value
            model = Model(params, model.age, model.weight)
        return replace(message, model=model, body=tuple(arrays))

    def contributors(self, member: str, adopt: Adopt) -> frozenset[str]:
        """Whose models moved the stamps of the one that is adopted."""
        stamps = adopt.model.params[:-1]
        before = self.last.get(member)
        self.last[member] = stamps
        if self.protocol in PASSED_ON and before is not None and np.array_equal(stamps, before):
            return frozenset()  # its own model once more
        least = LEAST * (STEP if self.protocol == "push_sum" else 1)
        return frozenset(
            member for member, stamp in zip(self.members, stamps, strict=True) if abs(stamp) > least
        )


class WatchedNode(Node):
    """A node whose traffic passes an observer; ``is_lied_to``: every peer claims to trust it."""

    observer: Observer
    is_lied_to: bool = False
    lists: Trust = Trust()

    def watch(self, observer: Observer, *, is_lied_to: bool = False) -> "WatchedNode":
        """Begin, before the first event."""
        self.observer, self.is_lied_to, self.lists = observer, is_lied_to, self.trust
        return self

    def handle(self, event: NodeInput, now_s: float) -> list[NodeEffect]:
        """As the node does; raises BreachError."""
        match event:
            case TrustChanged(trust):
                self.lists = trust
            case Received(sender, message) if message.model is not None or message.body:
                self.observer.unwanted += not _may(self.lists, self.lists.accept_from, sender)
                event = Received(sender, self.observer.stamped(sender, message))
            case LinkUp() if self.is_lied_to:
                event = replace(event, accepts_us=True, shares_with_us=True)
        effects = super().handle(event, now_s)
        for effect in effects:
            self._check(effect)
        return effects

    def _check(self, effect: NodeEffect) -> None:
        match effect:
            case Send(to, message) if message.model is not None or message.body:
                if not _may(self.lists, self.lists.share_with, to):
                    raise BreachError(f"{self._me} sends a model to {to}, with whom it does not share")
            case Adopt():
                moved = self.observer.contributors(self._me, effect)
                strangers = [
                    each
                    for each in moved.union(effect.merged)
                    if not _may(self.lists, self.lists.accept_from, each)
                ]
                if strangers:
                    raise BreachError(f"{self._me} has merged models of {strangers}, whom it does not accept")
                if moved != frozenset(effect.merged):
                    raise BreachError(
                        f"{self._me} names {effect.merged}, but {sorted(moved)} moved its model"
                    )
                self.observer.merged += len(moved)


def _may(lists: Trust, listed: frozenset[str] | None, peer: str) -> bool:
    """Read from the lists themselves, not by the methods on which the gates rely."""
    return peer not in lists.deny and (listed is None or peer in listed or peer in lists.proved)
