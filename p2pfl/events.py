"""The vocabulary between an exchange protocol and its driver.

Events (past tense) go in, effects (imperative) come out: ``handle(event, now_s) -> list[Effect]``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.model import Array, Model

MAX_FIELDS = 16  # fields of one message
MAX_FIELD_BYTES = 256  # of one str or bytes field


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What one protocol says to another: a kind, a round, perhaps a model, small fields, further arrays.

    At most ``MAX_FIELDS`` fields of int, float, str or bytes; ``body`` holds flat arrays beyond the model.
    """

    kind: str
    round: int
    model: Model | None = None
    fields: Mapping[str, int | float | str | bytes] = field(default_factory=dict)
    body: tuple[Array, ...] = ()

    @property
    def has_arrays(self) -> bool:
        """Does it hold more than words?"""
        return self.model is not None or bool(self.body)


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Whom a member sends to in a round and which weight it gives to each message it receives.

    ``receive_weights`` maps a sender to W[me, sender]; together with ``self_weight`` they sum to 1.
    """

    send_to: tuple[str, ...]
    receive_weights: Mapping[str, float]
    self_weight: float


class Wiring(Protocol):
    """The graph over the members, as neighbourhoods: pure, for any member and round."""

    def neighbourhood(self, round: int, of: str) -> Neighbourhood:
        """The neighbourhood of member ``of`` in ``round``; of a non-member, an empty one."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """Who takes part, whom this node reaches now, whom it accepts, and the graph over the members.

    ``members`` (this node included) stand in the order of the graph, which is the sorted roster unless
    the graph names its own order; ``live`` are the members with a link up to this node; ``accepted`` are
    those whose models may be merged here; ``refused`` those ever met, members or not, whom the lists do not
    (or no longer) accept: what is held of theirs is to be dropped.
    """

    me: str
    members: tuple[str, ...]
    live: frozenset[str]
    accepted: frozenset[str]
    wiring: Wiring
    refused: frozenset[str] = frozenset()

    def neighbourhood(self, round: int, of: str | None = None) -> Neighbourhood:
        """The neighbourhood in ``round`` of a member, by default this node's own."""
        return self.wiring.neighbourhood(round, self.me if of is None else of)


@dataclass(frozen=True, slots=True)
class Started:
    """The node begins, or resumes from a snapshot that was restored before."""


@dataclass(frozen=True, slots=True)
class Received:
    """An authenticated, checked message has arrived from an accepted sender.

    ``start`` and ``sequence`` tell messages with arrays from repetitions (``p2pfl.replay``); 0 is none.
    """

    sender: str
    message: Message
    start: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """The answer to ``Train``: age one higher; after a failure the model that was given, age unchanged."""

    model: Model


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by ``SetTimer`` has run out; late ones are ignored by the protocol, not cancelled."""

    name: str


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """Who is reachable, or the graph over them, has changed."""

    view: View


Event: TypeAlias = Started | Received | Trained | TimerFired | PeersChanged


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message, best effort: it may be lost, late or doubled.

    An unsent message to the same peer with the same non-empty ``replaces`` is dropped.
    """

    to: str
    message: Message
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``TimerFired(name)`` after ``delay_s``; a second one with the name replaces the first."""

    name: str
    delay_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Train:
    """Train on local data, starting from ``model``; at most one is outstanding.

    ``gradient_offset`` [P] is added to every gradient (gradient tracking).
    """

    model: Model
    gradient_offset: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Adopt:
    """This is now the node's model; whose models went in, and who was waited for in vain.

    ``round`` counts the finished rounds (of a token: the hops).
    """

    model: Model
    round: int
    merged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """The snapshot taken now is on disk before any later ``Send`` of this node."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The node has done its rounds; ``handle`` goes on answering late neighbours."""

    reason: str


Effect: TypeAlias = Send | SetTimer | Train | Adopt | Store | Finish
