"""The interface of an exchange protocol, and what all of them share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.events import Effect, Event
from p2pfl.model import Model, Snapshot

# (vectors, each [P], in sender order; their weights, summing to 1) -> [P]
Aggregate: TypeAlias = Callable[[Sequence[NDArray[np.float32]], Sequence[float]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What every protocol is constructed with, beside its own keyword options.

    ``number`` addresses the node's random draws; ``rounds`` = 0 runs for ever.  ``samples`` counts the rows
    that the node trains on; ``start`` is greater than in every earlier start of the node, also of one whose
    snapshot is lost.
    """

    me: str
    number: int
    model: Model
    seed: int
    rounds: int
    aggregate: Aggregate
    samples: int = 1
    start: int = 0


class ExchangeProtocol(Protocol):
    """Decides, from events alone, what a node does: construct, ``restore``, ``PeersChanged``, ``Started``.

    ``bodies`` declares the arrays per message (model included) and their dtype, per kind of message;
    with the local schema it bounds what a receiver allocates.
    """

    bodies: ClassVar[Mapping[str, tuple[int, str]]]

    @staticmethod
    def default_rounds(nodes: int) -> int:
        """The budget when none is given: 40 rounds, or 20 hops per node for a token."""
        ...

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        """React to one event; ``now_s`` is monotonic seconds from the driver."""
        ...

    def snapshot(self) -> Snapshot:
        """All that ``restore`` needs to go on after a crash, the current model included."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot of the same protocol with the same options, before ``Started``."""
        ...
