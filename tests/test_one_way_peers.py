"""One-way trust over real transports: peers whose lists nobody has agreed on, changed while they run.

Over memory the links admit everybody, so that the node's own gates have the work; over TCP all is as in the
daemon: proved keys, TLS, admission, greetings, cut links.
"""

import asyncio
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.discovery.static import StaticDiscovery
from p2pfl.learning.learner import TrainingState
from p2pfl.membership import Membership, Rumour, State
from p2pfl.model import Model
from p2pfl.peer.peer import Peer, PeerOptions, Surroundings
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.protocols.protocol import Setup
from p2pfl.roster import GraphWiring
from p2pfl.transports.memory import MemoryHub
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.transport import Transport
from p2pfl.trust import Trust
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from simulations.homes import free_ports
from tests.p2pfl.identities import NETWORK, Files, someone
from tests.p2pfl.peer.crowd import QUICK, Adder, Board, Log, MortalTransport
from tests.p2pfl.stamps import Observer, WatchedNode

NAMES = ("anna", "bert", "cleo", "dora", "emil")
IDS = tuple(sorted(someone(name).id for name in NAMES))
NAME_OF = {someone(name).id: name for name in NAMES}
RUNS = 5
CHANGES = 8
ROUNDS_BETWEEN = 12  # of all peers together, from one change of lists to the next
PURPOSE = 0x5237


class Stamper(Adder):
    """Trains as the observer needs it."""

    def __init__(self, me: str, observer: Observer) -> None:
        super().__init__(observer.parameters)
        self.me, self.observer = me, observer

    def train(
        self, model: Model, state: TrainingState, *, gradient_offset: NDArray[np.float32] | None = None
    ) -> tuple[Model, TrainingState]:
        return self.observer.train(self.me, model), state


def random_lists(random: np.random.Generator) -> Trust:
    """Nearly everybody is an observer, and so has a link, trusted or not."""
    accept, share, observers = (
        frozenset(each for each in IDS if random.random() < likely) for likely in (0.5, 0.5, 0.9)
    )
    return Trust(accept, share, observers)


class Network:
    """Five peers on one transport."""

    def __init__(self, seed: int, folder: Path | None) -> None:
        self.random = np.random.default_rng([seed, PURPOSE])
        self.observer = Observer(IDS, "gossip_averaging")
        self.files = None if folder is None else Files(folder)
        self.is_graph = bool(seed % 2)  # trust is the graph, or the lists are gates on a full mesh
        self.hub, self.board = MemoryHub(), Board()
        news = asyncio.Event()  # one for all: somebody has done something
        self.logs = {me: Log(news=news) for me in IDS}
        self.ports = dict(zip(IDS, free_ports(len(IDS)), strict=True))
        self.peers = {me: self._peer(me) for me in IDS}

    def _wire(self, roster: dict[str, str]) -> GraphWiring:
        graph = topologies.for_members("full_mesh", tuple(roster))
        return GraphWiring(tuple(graph), topologies.static(graph))

    def _peer(self, me: str) -> Peer:
        trust = random_lists(self.random)
        learner = Stamper(me, self.observer)
        security = None if self.files is None else self.files.security(NAME_OF[me], trust=trust)
        membership = Membership(Rumour(me, 1, State.ALIVE, NAME_OF[me]), QUICK)
        setup = Setup(me, IDS.index(me), self.observer.start(), 0, 0, partial(aggregate, mean))
        node = WatchedNode(
            me,
            protocol=GossipAveraging(setup, round_timeout_s=0.2),
            membership=membership,
            wiring=None if self.is_graph else self._wire,  # type: ignore[arg-type]
            trust=trust,
            min_members=2,
            settle_s=0.3,
        ).watch(self.observer)
        memory = MortalTransport(self.hub, limits=Limits())
        transport: Transport = memory
        if security is not None:
            transport = TcpTransport(
                "127.0.0.1",
                self.ports[me],
                bodies=GossipAveraging.bodies,
                parameters=self.observer.parameters,
                limits=Limits(),
                security=security,
            )
        greeting = Greeting(me, NAME_OF[me], NETWORK, 1, me[:8].encode(), bytes(8), "plan")
        around = Surroundings(
            transport,
            [self.board.client(lambda: memory._address) if security is None else self._addresses()],
            store=self.logs[me].store,
            report=self.logs[me].report,
            admission=None if security is None else security.admission,
        )
        return Peer(
            node,
            membership,
            learner,
            greeting=greeting,
            surroundings=around,
            options=PeerOptions(evaluate_every=0),
        )

    def _addresses(self) -> StaticDiscovery:
        return StaticDiscovery(f"127.0.0.1:{port}" for port in self.ports.values())

    async def run(self) -> Observer:
        """Change somebody's lists now and then; raises what a peer raises."""
        tasks = [asyncio.create_task(peer.run()) for peer in self.peers.values()]
        try:
            async with asyncio.timeout(30):
                for change in range(CHANGES):
                    await self._rounds((change + 1) * ROUNDS_BETWEEN, tasks)
                    self.peers[str(self.random.choice(IDS))].change_trust(random_lists(self.random))
        finally:
            for peer in self.peers.values():
                peer.stop()
            await asyncio.gather(*tasks)
        return self.observer

    async def _rounds(self, count: int, tasks: list[asyncio.Task[None]]) -> None:
        news = self.logs[IDS[0]].news
        while self._done() < count and not any(task.done() for task in tasks):
            news.clear()
            await news.wait()

    def _done(self) -> int:
        return sum(event == "round.done" for log in self.logs.values() for event, _ in log.reports)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
async def test_peers_over_memory_merge_only_what_they_accept(seed: int) -> None:
    network = Network(seed, None)
    observer = await network.run()

    assert observer.merged > 0
    kept_out = sum(row.refused + row.refused_there for peer in network.peers.values() for row in peer.peers())
    assert observer.unwanted + kept_out > 0  # the gates had something to keep out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
async def test_peers_over_tcp_merge_only_what_they_accept(seed: int, tmp_path: Path) -> None:
    observer = await Network(seed, tmp_path).run()

    assert observer.merged > 0
