"""A small driver in virtual time for tests of protocols: a queue, links that lose and double, crashes."""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np

from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Finish,
    Neighbourhood,
    PeersChanged,
    Received,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
    View,
)
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.protocol import ExchangeProtocol, Setup

Make = Callable[[Setup], ExchangeProtocol]
PARAMETERS = 6
MAX_STEPS = 200_000


class Graph:
    """Directed edges u -> v over members; equal weights for all senders and the node itself."""

    def __init__(self, edges: Iterable[tuple[str, str]], *, undirected: bool = True) -> None:
        pairs = set(edges)
        self.edges = pairs | {(v, u) for u, v in pairs} if undirected else pairs

    def neighbourhood(self, round: int, of: str) -> Neighbourhood:
        senders = sorted(u for u, v in self.edges if v == of)
        weight = 1 / (1 + len(senders))
        return Neighbourhood(
            tuple(sorted(v for u, v in self.edges if u == of)), dict.fromkeys(senders, weight), weight
        )

    def only(self, members: Iterable[str]) -> "Graph":
        kept = set(members)
        return Graph({(u, v) for u, v in self.edges if u in kept and v in kept}, undirected=False)


def ring(members: str, *, undirected: bool = True) -> Graph:
    after = members[1:] + members[:1]
    edges = [(a, b) for a, b in zip(members, after, strict=True) if a != b]
    return Graph(edges, undirected=undirected)


def full_mesh(members: str) -> Graph:
    return Graph([(a, b) for a in members for b in members if a < b])


def line(members: str) -> Graph:
    return Graph(pairwise(members))


def star(members: str) -> Graph:
    return Graph([(members[0], leaf) for leaf in members[1:]])


def setup_of(me: str, rounds: int, *, seed: int = 0) -> Setup:
    model = Model(np.linspace(-1, 1, PARAMETERS, dtype=np.float32))
    return Setup(me, ord(me), model, seed, rounds, partial(aggregate, mean))


def view_of(me: str, graph: Graph, members: str, live: Iterable[str] | None = None) -> View:
    linked = frozenset(members if live is None else live) - {me}
    return View(me, tuple(members), linked, frozenset(members), graph)


def train(me: str, model: Model) -> Model:
    """Pull the model towards a point of its own and add noise addressed by (member, age)."""
    noise = np.random.default_rng([ord(me), model.age, 1]).standard_normal(model.params.size)
    params = 0.9 * model.params + 0.1 * ord(me) + 0.01 * noise
    return Model(params.astype(np.float32), model.age + 1, model.weight)


@dataclass
class Member:
    """One member: its protocol, and what the protocol has had done."""

    protocol: ExchangeProtocol
    live: set[str] = field(default_factory=set)
    adopted: list[Adopt] = field(default_factory=list)
    trained_ages: list[int] = field(default_factory=list)
    stored: Snapshot | None = None
    timers: dict[str, int] = field(default_factory=dict)
    is_training: bool = False
    finishes: int = 0
    boot: int = 0


class Driver:
    """Runs the members of a graph; every fate of a message is drawn from ``seed``."""

    def __init__(
        self,
        make: Make,
        graph: Graph,
        members: str,
        *,
        rounds: int,
        down: str = "",
        seed: int = 0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        jitter_s: float = 0.0,
        train_s: Mapping[str, float] | None = None,
    ) -> None:
        self.make, self.graph, self.members, self.rounds = make, graph, members, rounds
        self.rng = np.random.default_rng([seed, 99])
        self.seed, self.loss, self.duplicate, self.jitter_s = seed, loss, duplicate, jitter_s
        self.train_s = train_s or {}
        self.now_s = 0.0
        self.steps = 0
        self.queue: list[tuple[float, int, str, int, Event | None, str]] = []
        self.nodes: dict[str, Member] = {}
        self.sent: list[tuple[str, str, str, int]] = []  # sender, receiver, kind, round
        self.arrays: list[tuple[np.ndarray, bytes]] = []  # everything that ever travelled, as it was
        self.rosters: dict[str, str] = dict.fromkeys(members, members)
        for member in members:
            if member not in down:
                self.nodes[member] = Member(make(setup_of(member, rounds, seed=seed)))
        for member in self.nodes:
            self.nodes[member].live = set(self.nodes) - {member}
            self.feed(member, PeersChanged(self.view(member)))
        for member in list(self.nodes):
            self.push(0.0, member, Started())

    def view(self, member: str) -> View:
        roster = self.rosters[member]
        return view_of(member, self.graph.only(roster), roster, self.nodes[member].live)

    def push(self, delay_s: float, member: str, event: Event, timer: str = "") -> int:
        self.steps += 1
        boot = self.nodes[member].boot
        heapq.heappush(self.queue, (self.now_s + delay_s, self.steps, member, boot, event, timer))
        return self.steps

    def run(self, *, until: Callable[[], bool] | None = None) -> "Driver":
        until = until or self.is_finished
        while self.queue and not until():
            self.now_s, number, member, boot, event, timer = heapq.heappop(self.queue)
            node = self.nodes.get(member)
            if node is None or node.boot != boot or event is None:
                continue
            if timer and node.timers.get(timer) != number:
                continue
            assert self.steps < MAX_STEPS, f"no end in sight (seed {self.seed})"
            self.feed(member, event)
        return self

    def is_finished(self) -> bool:
        return all(node.finishes for node in self.nodes.values())

    def feed(self, member: str, event: Event) -> None:
        node = self.nodes[member]
        if isinstance(event, Trained):
            assert node.is_training
            node.is_training = False
        effects = node.protocol.handle(event, self.now_s)
        for effect in effects:
            self.carry_out(member, node, effect)

    def carry_out(self, member: str, node: Member, effect: Effect) -> None:
        match effect:
            case Send():
                self.send(member, effect)
            case SetTimer(name, delay_s):
                node.timers[name] = self.push(delay_s, member, TimerFired(name), name)
            case Train(model):
                assert not node.is_training, f"{member} trains twice at once"
                node.is_training = True
                node.trained_ages.append(model.age)
                self.remember(model.params)
                self.push(self.train_s.get(member, 1.0), member, Trained(train(member, model)))
            case Adopt(model, round):
                assert not self.rounds or round <= self.rounds
                assert not node.adopted or model.age >= node.adopted[-1].model.age, f"{member} grows younger"
                assert not self.rounds or model.age <= self.rounds
                self.remember(model.params)
                node.adopted.append(effect)
            case Store():
                node.stored = node.protocol.snapshot()
            case Finish():
                node.finishes += 1

    def remember(self, array: np.ndarray) -> None:
        self.arrays.append((array, array.tobytes()))

    def send(self, sender: str, send: Send) -> None:
        model = send.message.model
        if model is not None:
            assert (sender, send.to) in self.graph.edges, f"a model left the graph: {sender} -> {send.to}"
            self.remember(model.params)
        self.sent.append((sender, send.to, send.message.kind, send.message.round))
        if send.to not in self.nodes or send.to not in self.nodes[sender].live:
            return
        copies = 0 if self.rng.random() < self.loss else 1 + (self.rng.random() < self.duplicate)
        for _ in range(copies):
            delay_s = 0.01 + self.jitter_s * float(self.rng.random())
            self.push(delay_s, send.to, Received(sender, send.message))

    def crash(self, member: str) -> Snapshot | None:
        """Kill a member; the others see its links go down."""
        stored = self.nodes.pop(member).stored
        for other, node in self.nodes.items():
            node.live.discard(member)
            self.feed(other, PeersChanged(self.view(other)))
        return stored

    def restart(self, member: str, stored: Snapshot | None, *, boot: int = 1) -> None:
        """Start a member from a snapshot; links come up behind it."""
        protocol = self.make(setup_of(member, self.rounds, seed=self.seed))
        if stored is not None:
            protocol.restore(stored)
        self.nodes[member] = Member(protocol, live=set(self.nodes), boot=boot)
        self.feed(member, PeersChanged(self.view(member)))
        self.feed(member, Started())
        for other in [each for each in self.nodes if each != member]:
            self.nodes[other].live.add(member)
            self.feed(other, PeersChanged(self.view(other)))

    def leave(self, member: str) -> None:
        """Take a dead member out of every roster."""
        for other in self.nodes:
            self.rosters[other] = self.rosters[other].replace(member, "")
            self.feed(other, PeersChanged(self.view(other)))

    def models(self) -> dict[str, bytes]:
        return {member: node.adopted[-1].model.params.tobytes() for member, node in self.nodes.items()}

    def visits(self) -> list[str]:
        """Who trained, in the order of the adopted rounds of a token."""
        rounds = {
            adopt.round: member
            for member, node in self.nodes.items()
            for adopt, age in zip(node.adopted, node.trained_ages, strict=False)
            if adopt.model.age == age + 1
        }
        return [rounds[key] for key in sorted(rounds)]
