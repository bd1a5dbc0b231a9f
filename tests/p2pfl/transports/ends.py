"""Ends of links for the tests of transports: each keeps what it is told, and waits with a deadline."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from p2pfl.errors import RemoteError
from p2pfl.transports.event_loops import loop_factory
from p2pfl.transports.memory import MemoryHub, MemoryTransport
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tls import Security
from p2pfl.transports.transport import Link, Transport
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import KEPT, Envelope, Greeting, Offer, Packet, Receipt, Reject
from tests.p2pfl.identities import NETWORK_KEY, Files, someone
from tests.p2pfl.wire.samples import BODIES, PARAMETERS, greeting

DEADLINE_S = 10.0
Result = TypeVar("Result")


@dataclass(eq=False)
class End:
    """A node with nothing behind it: a handler that remembers."""

    transport: Transport
    denied: list[tuple[str, str]]  # links: (code, words)
    address: str = ""
    links: list[Link] = field(default_factory=list)
    dialled: list[bool] = field(default_factory=list)
    packets: asyncio.Queue[Packet] = field(default_factory=asyncio.Queue)
    downs: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    happened: asyncio.Event = field(default_factory=asyncio.Event)  # anything at all
    keeps_packets: bool = True
    settles: bool = True
    objections: dict[int, RemoteError] = field(default_factory=dict)  # to offers, by round
    offers: list[Offer] = field(default_factory=list)
    withheld: set[int] = field(default_factory=set)  # rounds whose models may not leave
    refusals: list[tuple[str, str]] = field(default_factory=list)  # of our models, by the peer
    unsent: list[int] = field(default_factory=list)  # rounds of models that were rejected
    verdicts: dict[int, str] = field(default_factory=dict)  # receipts other than kept, by round

    @property
    def link(self) -> Link:
        return self.links[-1]

    def link_up(self, link: Link, *, dialled: bool) -> None:
        self.links.append(link)
        self.dialled.append(dialled)
        self.happened.set()

    def objection(self, link: Link, offer: Offer) -> RemoteError | None:
        assert link in self.links
        self.offers.append(offer)
        self.happened.set()
        return self.objections.get(offer.round)

    def may_leave(self, link: Link, envelope: Envelope) -> bool:
        assert link in self.links
        return envelope.message.round not in self.withheld

    def refused(self, link: Link, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        assert link in self.links
        if unsent is not None:
            self.unsent.append(unsent.message.round)
        self.refusals.append((answer.code, answer.text))
        self.happened.set()

    def packet_received(self, link: Link, packet: Packet) -> None:
        assert link in self.links
        if self.settles and isinstance(packet, Envelope) and packet.message.has_arrays:
            link.settle(packet.sequence, self.verdicts.get(packet.message.round, KEPT))
        if self.keeps_packets:
            self.packets.put_nowait(packet)
        self.happened.set()

    def link_down(self, link: Link, reason: str) -> None:
        assert link in self.links
        self.downs.put_nowait(reason)
        self.happened.set()

    async def packet(self) -> Packet:
        return await asyncio.wait_for(self.packets.get(), DEADLINE_S)

    async def message(self) -> Envelope:
        packet = await self.packet()
        assert isinstance(packet, Envelope)
        return packet

    async def down(self) -> str:
        return await asyncio.wait_for(self.downs.get(), DEADLINE_S)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                self.happened.clear()
                await self.happened.wait()


@dataclass
class World:
    """Transports of one kind in one event loop."""

    kind: str
    runner: asyncio.Runner
    folder: Path  # for the files of identities
    hub: MemoryHub = field(default_factory=MemoryHub)
    ends: list[End] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # what an event loop caught and nobody else

    @property
    def files(self) -> Files:
        return Files(self.folder)

    def greeting(self, name: str, plan_words: str = "ring") -> Greeting:
        """What the node of that name says, as its peers hear it."""
        found = greeting(name, plan_words)
        if self.kind != "tls":
            return found
        return replace(found, id=someone(name).id, shares_with_you=True)

    def run(self, story: Callable[[], Coroutine[None, None, Result]]) -> Result:
        """Run a story to its end, close what it opened, and see that nothing was swallowed."""
        return self.runner.run(self._whole(story))

    async def end(
        self,
        who: Greeting | str,
        *,
        limits: Limits | None = None,
        parameters: int = PARAMETERS,
        bodies: Mapping[str, tuple[int, str]] = BODIES,
        security: Security | None = None,
    ) -> End:
        """A node that listens; with TLS all have the network key unless ``security`` says otherwise."""
        denied: list[tuple[str, str]] = []

        def note(_address: str, error: RemoteError) -> None:
            denied.append((error.code, error.what))
            end.happened.set()

        limits = limits or Limits()
        words = self.greeting(who) if isinstance(who, str) else who
        if self.kind == "tls" and security is None:
            security = self.files.security(words.name, network_key=NETWORK_KEY, network=words.network)
        transport: Transport
        if self.kind == "memory":
            transport = MemoryTransport(self.hub, limits=limits, refused=note)
        else:
            transport = TcpTransport(
                "127.0.0.1",
                0,
                bodies=bodies,
                parameters=parameters,
                limits=limits,
                refused=note,
                security=security,
            )
        end = End(transport, denied)
        end.address = await transport.listen(lambda: words, end)
        self.ends.append(end)
        return end

    async def pair(self, *, limits: Limits | None = None, parameters: int = PARAMETERS) -> tuple[End, End]:
        """Two nodes with a link; the first has dialled."""
        anna = await self.end("anna", limits=limits, parameters=parameters)
        bert = await self.end("bert", limits=limits, parameters=parameters)
        await anna.transport.dial(bert.address)
        await bert.until(lambda: bool(bert.links))
        return anna, bert

    async def _whole(self, story: Callable[[], Coroutine[None, None, Result]]) -> Result:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(repr(context)))
        try:
            async with asyncio.timeout(3 * DEADLINE_S):
                return await story()
        finally:
            for end in self.ends:
                await end.transport.close()
            assert self.faults == []


@contextmanager
def world_of(kind: str, loop: str) -> Iterator[World]:
    """A world for one test."""
    with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        yield World(kind, runner, Path(folder))
