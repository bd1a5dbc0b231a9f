"""Peers over the memory transport with a learner that adds one: a network of daemons in one loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import networkx as nx
import numpy as np
from numpy.typing import NDArray

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.discovery.discovery import Announcement, Hint
from p2pfl.errors import StateError, TransportError
from p2pfl.learning.learner import Evaluation, Schema, TrainingState
from p2pfl.membership import Membership, Rumour, State, Timing
from p2pfl.model import Checkpoint, Model
from p2pfl.node import Node
from p2pfl.peer.peer import Peer, PeerOptions, Surroundings
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.roster import GraphWiring
from p2pfl.transports.memory import MemoryHub, MemoryTransport
from p2pfl.transports.transport import Transport
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting

QUICK = Timing(heartbeat_s=0.05, silence_s=0.5, suspicion_s=0.2)


class Adder:
    """Adds one to every parameter; may be made to fail, or to wait."""

    def __init__(self, parameters: int, number: int = 0) -> None:
        self.schema = Schema((("x", (parameters,), "float32"),))
        self.number = number
        self.failures = 0
        self.takes_s = 0.0  # a training
        self.may_train = threading.Event()
        self.may_train.set()

    def initial(self) -> Model:
        return Model(np.full(self.schema.parameters, self.number, np.float32))

    def train(
        self,
        model: Model,
        state: TrainingState,
        *,
        gradient_offset: NDArray[np.float32] | None = None,
    ) -> tuple[Model, TrainingState]:
        assert self.may_train.wait(10)
        if self.takes_s:
            threading.Event().wait(self.takes_s)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("out of luck")
        return Model(model.params + 1, model.age + 1, model.weight), {"steps": np.array([model.age + 1])}

    def evaluate(self, model: Model) -> Evaluation:
        return Evaluation(np.diag([model.age, 1]).astype(np.int64), float(model.params[0]))


class Board:
    """A discovery: everybody who announces is told to everybody who listens."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Hint], None]] = []
        self.hints: dict[str, Hint] = {}

    def client(self, addresses: Callable[[], str]) -> "BoardClient":
        return BoardClient(self, addresses)


@dataclass(eq=False)
class BoardClient:
    board: Board
    address: Callable[[], str]

    async def start(self, announcement: Announcement, found: Callable[[Hint], None]) -> None:
        hint = Hint(self.address(), announcement.id)
        for listener in self.board.listeners:
            listener(hint)
        for known in self.board.hints.values():
            found(known)
        self.board.hints[announcement.id] = hint
        self.board.listeners.append(found)
        self.found = found

    async def close(self) -> None:
        self.board.listeners.remove(self.found)


class AnyTransport(Transport, Protocol):
    """A transport that knows its own address once it listens."""

    _address: str


class MortalTransport(MemoryTransport):
    """A memory transport whose process may die: nobody can be reached from it or reaches it."""

    is_dead = False

    def die(self) -> None:
        self.is_dead = True
        self._hub.detach(self._address)
        self.cut()

    def break_here(self) -> None:
        """End every link at this end; the other ends do not notice, and what they send is lost."""
        for link in list(self._links):
            link.end("connection lost")

    async def dial(self, address: str, peer: str = "") -> None:
        if self.is_dead:
            raise TransportError("dead")
        await super().dial(address, peer)


@dataclass(eq=False)
class Log:
    """What a peer stores and reports; the disk may be broken for a while."""

    stored: list[Checkpoint] = field(default_factory=list)
    reports: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    disk_failures: int = 0
    most_kept: int | None = None  # checkpoints, of a run that does thousands of rounds

    def store(self, checkpoint: Checkpoint) -> None:
        if self.disk_failures:
            self.disk_failures -= 1
            raise StateError("disk full")
        self.stored.append(checkpoint)
        if self.most_kept is not None:
            del self.stored[: -self.most_kept]

    def report(self, event: str, facts: Mapping[str, object]) -> None:
        self.reports.append((event, facts))
        self.news.set()


@dataclass(eq=False)
class Member:
    """One peer with all that belongs to it."""

    peer: Peer
    learner: Adder
    transport: AnyTransport
    log: "Log"
    task: asyncio.Task[None] | None = None

    @property
    def stored(self) -> list[Checkpoint]:
        return self.log.stored

    def facts(self, event: str) -> list[Mapping[str, object]]:
        return [facts for name, facts in self.log.reports if name == event]

    async def until(self, event: str, count: int = 1) -> None:
        async with asyncio.timeout(20):
            while len(self.facts(event)) < count:
                self.log.news.clear()
                await self.log.news.wait()

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.peer.run())

    async def stop(self) -> None:
        assert self.task is not None
        self.peer.stop()
        await self.task

    async def kill(self) -> None:
        """As SIGKILL does: no good-bye, no checkpoint."""
        assert self.task is not None
        assert isinstance(self.transport, MortalTransport)
        self.transport.die()
        stored = list(self.stored)
        await self.stop()
        self.stored[:] = stored


class Crowd:
    """Makes members of one network over one graph family."""

    def __init__(
        self,
        *,
        topology: str = "ring",
        rounds: int = 5,
        members: int = 3,
        parameters: int = 3,
        make_protocol: Callable[[Setup], ExchangeProtocol] = GossipAveraging,
    ) -> None:
        self.hub = MemoryHub()
        self.board = Board()
        self.topology = topology
        self.rounds = rounds
        self.count = members
        self.parameters = parameters
        self.make_protocol = make_protocol

    def wire(self, roster: Mapping[str, str]) -> GraphWiring:
        graph: nx.Graph = topologies.for_members(self.topology, tuple(roster), 0)
        return GraphWiring(tuple(graph), topologies.static(graph))

    def member(
        self,
        name: str,
        number: int,
        *,
        resume: Checkpoint | None = None,
        incarnation: int = 1,
        plan: bytes = bytes(8),
        make_transport: Callable[[], AnyTransport] | None = None,
    ) -> Member:
        learner = Adder(self.parameters, number)
        membership = Membership(Rumour(name, incarnation, State.ALIVE, name.upper()), QUICK)
        node = self._node(name, number, learner=learner, membership=membership)
        options = PeerOptions()
        if resume is not None:
            node.restore(resume.snapshot)
            options = PeerOptions(state=resume.state, round=resume.round)
        greeting = Greeting(
            name, name.upper(), bytes(32), incarnation, bytes([incarnation] * 8), plan, f"plan {plan[0]}"
        )
        transport = make_transport() if make_transport else MortalTransport(self.hub, limits=Limits())
        log = Log()
        surroundings = Surroundings(
            transport=transport,
            discoveries=[self.board.client(lambda: transport._address)],
            store=log.store,
            report=log.report,
        )
        peer = Peer(node, membership, learner, greeting=greeting, surroundings=surroundings, options=options)
        return Member(peer, learner, transport, log)

    def _node(self, name: str, number: int, *, learner: Adder, membership: Membership) -> Node:
        aggregated = partial(aggregate, mean)
        setup = Setup(name, number, learner.initial(), 0, self.rounds, aggregated)
        return Node(
            name,
            protocol=self.make_protocol(setup),
            membership=membership,
            wiring=self.wire,
            min_members=self.count,
            settle_s=0.5,
        )
