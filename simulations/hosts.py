"""What the event simulator keeps of a member while it runs, and what a run leaves behind."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from p2pfl.events import Adopt
from p2pfl.learning.learner import TrainingState
from p2pfl.model import Model, Snapshot
from p2pfl.node import Node
from simulations.traces import Trace

# What somebody who watches the run is told: (member, what it adopts, virtual time).
Watcher: TypeAlias = Callable[[str, Adopt, float], None]


Mass: TypeAlias = tuple[float, Mapping[str, float], Mapping[str, float]]


@runtime_checkable
class ConservesMass(Protocol):
    """A protocol whose weights are only moved: push-sum."""

    def mass(self) -> Mass:
        """What the node holds; totals that it has ever sent, per receiver, and got, per sender.

        The mass of all nodes is the sum of what they hold and of what was sent and not yet got.
        """
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A protocol in which a member trains when it is its turn: cyclic pass, random walk."""

    @property
    def turn(self) -> tuple[int, int] | None:
        """The turn in which the member has trained last: (mint, lap) of the token, higher each time."""
        ...


class Host:
    """One process of a member, from its start to its crash."""

    __slots__ = (
        "age",
        "is_finished",
        "is_training",
        "is_up",
        "linked",
        "member",
        "node",
        "scale",
        "state",
        "timers",
        "turns",
    )

    def __init__(self, member: str, node: Node, linked: frozenset[str]) -> None:
        self.member = member
        self.node = node
        self.linked = set(linked)  # as the member itself believes
        self.state: TrainingState = {}
        protocol = node.protocol
        self.scale = protocol if isinstance(protocol, ConservesMass) else None  # to weigh it by
        self.turns = protocol if isinstance(protocol, TakesTurns) else None
        self.timers: dict[str, int] = {}  # name -> the number of the entry that counts
        self.age = 0  # of the last model that this process has adopted
        self.is_training = False
        self.is_finished = False
        self.is_up = True


class Record:
    """What a run leaves behind; grows while it runs."""

    __slots__ = (
        "bytes_sent",
        "finished",
        "models",
        "rounds",
        "stored",
        "trace",
        "trainings",
        "unsent",
        "watch",
    )

    def __init__(self, trace: Trace | None, watch: Watcher | None) -> None:
        self.models: dict[str, Model] = {}
        self.rounds: dict[str, int] = {}
        self.finished: dict[str, str] = {}  # member -> reason
        self.stored: dict[str, tuple[Snapshot, TrainingState]] = {}
        self.trainings: Counter[str] = Counter()  # begun, per member
        self.bytes_sent = 0  # of models and bodies
        self.unsent = 0  # messages to members without a link
        self.trace = trace
        self.watch = watch

    def note(self, now_s: float, member: str, what: str) -> None:
        """A line of the trace, if there is one."""
        if self.trace is not None:
            self.trace.note(now_s, member, what)

    def adopted(self, now_s: float, member: str, adopt: Adopt) -> None:
        """A member has a new model."""
        self.models[member] = adopt.model
        self.rounds[member] = adopt.round
        if self.trace is not None:
            self.trace.adopted(now_s, member, adopt)
        if self.watch is not None:
            self.watch(member, adopt, now_s)
