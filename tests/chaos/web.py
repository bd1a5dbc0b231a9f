"""Real peers over TLS in one event loop, with a proxy between every two of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.transports.addresses import parse_address
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from tests.chaos.proxy import FAIR, ChaosProxy, Way, Weather
from tests.p2pfl.identities import NETWORK_KEY, Files, someone
from tests.p2pfl.peer.crowd import Crowd, Member

DEADLINE_S = 20.0
ROUND_TIMEOUT_S = 0.4
TRAINING_S = 0.02  # so that one who is cut off does not do thousands of rounds alone
NETWORK = bytes(32)
# A body of the large model in these tests must move by its half per window.
QUICK_LIMITS = Limits(connect_s=1.0, handshake_s=1.0, closing_s=0.3, transfer_window_s=0.5)


class Net:
    """The proxies of all ordered pairs (who dialled, who listens), made when somebody dials."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}  # address -> who listens there
        self._proxies: dict[tuple[str, str], ChaosProxy] = {}
        self._weather: dict[tuple[str, str], Weather] = {}  # of what the first sends to the second
        self._refusing: set[frozenset[str]] = set()

    async def door(self, dialler: str, address: str) -> str:
        """The address at which ``dialler`` reaches who listens at ``address``."""
        owner = self.owners[address]
        pair = (dialler, owner)
        if pair not in self._proxies:
            host, port = parse_address(address)
            proxy = self._proxies[pair] = ChaosProxy(host, port)
            await proxy.__aenter__()
            self._apply(*pair)
        return f"tcp://127.0.0.1:{self._proxies[pair].port}"

    def set(self, weather: Weather, sender: str, receiver: str) -> None:
        """What happens from now on to what one sends to the other, whoever has dialled."""
        self._weather[sender, receiver] = weather
        self._apply(sender, receiver)
        self._apply(receiver, sender)

    def between(self, one: str, other: str) -> list[ChaosProxy]:
        """The proxies that carry what these two say to each other."""
        return [self._proxies[pair] for pair in ((one, other), (other, one)) if pair in self._proxies]

    def forwarded(self, sender: str, receiver: str) -> int:
        """Bytes that one has sent to the other over the connections that are open."""
        dialled = [(proxy, Way.OUT) for pair, proxy in self._proxies.items() if pair == (sender, receiver)]
        taken = [(proxy, Way.BACK) for pair, proxy in self._proxies.items() if pair == (receiver, sender)]
        flows = [one.flows[way] for proxy, way in (*dialled, *taken) for one in proxy.connections]
        return sum(flow.forwarded_bytes for flow in flows)

    def refuse(self, one: str, other: str, *, is_refusing: bool = True) -> None:
        """Whether new connections between the two are reset from now on."""
        (self._refusing.add if is_refusing else self._refusing.discard)(frozenset({one, other}))
        self._apply(one, other)
        self._apply(other, one)

    async def close(self) -> None:
        """End everything."""
        for proxy in self._proxies.values():
            await proxy.close()

    def _apply(self, dialler: str, owner: str) -> None:
        proxy = self._proxies.get((dialler, owner))
        if proxy is not None:
            proxy.set(self._weather.get((dialler, owner), FAIR), Way.OUT)
            proxy.set(self._weather.get((owner, dialler), FAIR), Way.BACK)
            proxy.is_refusing = frozenset({dialler, owner}) in self._refusing


class ProxiedTransport(TcpTransport):
    """Listens as ever; whatever it dials, it dials through the net."""

    def __init__(self, net: Net, me: str, files: Files, *, parameters: int, limits: Limits) -> None:
        super().__init__(
            "127.0.0.1",
            0,
            bodies=GossipAveraging.bodies,
            parameters=parameters,
            limits=limits,
            security=files.security(me, network_key=NETWORK_KEY, network=NETWORK),
        )
        self._net = net
        self._id = someone(me).id
        self._address = ""

    async def listen(self, greeting: Callable[[], Greeting], handler: LinkHandler) -> str:
        self._address = await super().listen(greeting, handler)
        self._net.owners[self._address] = self._id
        return self._address

    async def dial(self, address: str, peer: str = "") -> None:
        await super().dial(await self._net.door(self._id, address), peer)


class Web:
    """Members of one network, in the order of the ring."""

    def __init__(
        self, folder: Path, *, count: int = 5, parameters: int = 3, round_timeout_s: float = ROUND_TIMEOUT_S
    ) -> None:
        self.net = Net()
        protocol = partial(GossipAveraging, round_timeout_s=round_timeout_s)
        self._crowd = Crowd(rounds=0, members=count, parameters=parameters, make_protocol=protocol)
        self._files = Files(folder)
        # Half a body per window is the least that may move, however small the model of a test.
        least = max(1, parameters * 4 // 2)
        self._limits = replace(QUICK_LIMITS, transfer_window_bytes=least)
        self._names = sorted("abcdefgh"[:count], key=lambda name: someone(name).id)
        self.members = [self.member(number) for number in range(count)]

    def member(self, number: int, *, incarnation: int = 1) -> Member:
        """A process of the member with that place on the ring."""
        name, parameters = self._names[number], self._crowd.parameters
        transport = partial(
            ProxiedTransport, self.net, name, self._files, parameters=parameters, limits=self._limits
        )
        made = self._crowd.member(someone(name).id, number, incarnation=incarnation, make_transport=transport)
        made.log.most_kept = 2
        made.learner.takes_s = TRAINING_S
        return made

    async def rounds(self, count: int, *members: Member) -> None:
        """Until each of these, by default all, has done so many more rounds."""
        chosen = members or tuple(self.members)
        goals = [(member, len(member.facts("round.done")) + count) for member in chosen]
        async with asyncio.timeout(DEADLINE_S):
            for member, goal in goals:
                await member.until("round.done", goal)

    async def until(self, member: Member, is_so: Callable[[], bool]) -> None:
        """Wait for what a member's reports bring about."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                member.log.news.clear()
                await member.log.news.wait()

    async def exchanged(self, one: Member, other: Member) -> None:
        """Until each of the two has merged a model of the other's that came after now."""
        seen = {member: len(member.facts("round.done")) for member in (one, other)}
        for member, from_ in ((one, other), (other, one)):
            await self.until(member, lambda m=member, f=from_: has_merged(m, f, seen[m]))  # type: ignore[misc]


def id_of(member: Member) -> str:
    """The id of a member's node."""
    return member.peer.membership.me


def has_merged(member: Member, sender: Member, after: int) -> bool:
    """Did a round of the member, after the first ``after``, merge a model of the sender's?"""
    later = member.facts("round.done")[after:]
    return any(id_of(sender) in _listed(facts["merged"]) for facts in later)


def was_missing(member: Member, sender: Member) -> bool:
    """Has a round of the member gone by without the sender, for whom it had waited?"""
    return any(id_of(sender) in _listed(facts["missing"]) for facts in member.facts("round.done"))


def _listed(found: object) -> list[object]:
    assert isinstance(found, list)
    return found


@asynccontextmanager
async def running(web: Web) -> AsyncIterator[Web]:
    """All members run and have met; at the end all are stopped."""
    for member in web.members:
        member.start()
    try:
        await web.rounds(2)
        yield web
    finally:
        for member in web.members:
            await member.stop()  # raises what has ended it before its time
        await web.net.close()
