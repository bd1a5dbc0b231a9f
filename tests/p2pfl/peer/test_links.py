import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from p2pfl.discovery.discovery import Hint
from p2pfl.errors import RemoteError, TransportError
from p2pfl.events import Message
from p2pfl.peer import linking as linking_module
from p2pfl.peer import links as links_module
from p2pfl.peer.links import Links
from p2pfl.peer.targets import MAX_PEERS
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.packets import Envelope, Goodbye, Greeting, Offer, Packet, Receipt, Reject


def greet(peer: str, *, boot: int = 1, incarnation: int = 1, address: str = "") -> Greeting:
    return Greeting(peer, peer.upper(), bytes(32), incarnation, bytes([boot] * 8), bytes(8), "plan", address)


@dataclass(eq=False)
class FakeLink:
    peer: Greeting
    sent: list[Packet] = field(default_factory=list)
    closed: str = ""
    is_idle: bool = True
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    bytes_received: int = 0
    settled: list[tuple[int, str]] = field(default_factory=list)

    def send(self, packet: Packet, replaces: str = "") -> None:
        self.sent.append(packet)

    def settle(self, sequence: int, code: str, text: str = "") -> None:
        self.settled.append((sequence, code))

    def close(self, code: str, text: str = "") -> None:
        self.closed = code
        self.is_over.set()

    def cut(self, code: str, text: str = "") -> None:
        self.close(code, text)


class FakeTransport:
    """Answers a dial by what the table says: a greeting, or an error."""

    def __init__(self) -> None:
        self.answers: dict[str, Greeting | Exception] = {}
        self.dialled: list[str] = []
        self.handler: LinkHandler | None = None
        self.links: list[FakeLink] = []
        self.has_dialled = asyncio.Event()
        self.is_brief = False  # every link that is dialled goes down at once

    async def listen(self, greeting: Callable[[], Greeting], handler: LinkHandler) -> str:
        self.handler = handler
        return "fake://me"

    async def dial(self, address: str, peer: str = "") -> None:
        self.dialled.append(address)
        self.has_dialled.set()
        answer = self.answers.get(address, TransportError("nobody there"))
        if isinstance(answer, Exception):
            raise answer
        link = self.come_up(answer, dialled=True)
        if self.is_brief:
            self.go_down(link)

    async def close(self) -> None:
        pass

    def come_up(self, peer: Greeting, *, dialled: bool) -> FakeLink:
        link = FakeLink(peer)
        self.links.append(link)
        assert self.handler is not None
        self.handler.link_up(link, dialled=dialled)
        return link

    def go_down(self, link: FakeLink, reason: str = "reset") -> None:
        assert self.handler is not None
        self.handler.link_down(link, reason)


class Owner:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.news = asyncio.Event()

    def _note(self, text: str) -> None:
        self.log.append(text)
        self.news.set()

    def peer_up(self, peer: Greeting) -> None:
        self._note(f"up {peer.id}")

    def peer_down(self, peer: Greeting, *, left: bool, reason: str) -> None:
        self._note(f"down {peer.id} {reason}{' left' if left else ''}")

    def peer_failed(self, peer: str, address: str, error: TransportError | RemoteError) -> None:
        self._note(f"failed {peer or address}: {error}")

    def packet_arrived(self, peer: str, packet: Packet) -> None:
        self._note(f"packet {peer}")

    def objection(self, peer: str, offer: Offer) -> RemoteError | None:
        self._note(f"offer {peer}")
        return None

    def may_leave(self, peer: str) -> bool:
        self._note(f"leaving to {peer}")
        return True

    def model_refused(self, peer: str, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        self._note(f"refused by {peer}: {answer.code}")


class Bench:
    def __init__(self, links: Links, transport: FakeTransport, owner: Owner) -> None:
        self.links, self.transport, self.owner = links, transport, owner

    async def until(self, text: str) -> None:
        async with asyncio.timeout(5):
            while text not in self.owner.log:
                self.owner.news.clear()
                await self.owner.news.wait()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(links_module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(links_module, "YIELD_S", 0.01)
    transport, owner = FakeTransport(), Owner()
    made = Links("m", transport, owner, rng=np.random.default_rng(0))
    assert await made.open(lambda: greet("m")) == "fake://me"
    return Bench(made, transport, owner)


async def test_a_hinted_peer_is_dialled_again_until_it_answers(bench: Bench) -> None:
    bench.links.hint(Hint("at-b", "b"))
    await bench.until("failed b: nobody there")

    bench.transport.answers["at-b"] = greet("b")
    await bench.until("up b")

    assert bench.transport.dialled.count("at-b") >= 2
    assert set(bench.links.linked) == {"b"}


async def test_a_static_address_learns_whose_it_is(bench: Bench) -> None:
    bench.transport.answers["at-b"] = greet("b", address="at-b")
    bench.links.hint(Hint("at-b"))
    await bench.until("up b")

    bench.transport.go_down(bench.transport.links[0])
    bench.owner.log.remove("up b")
    await bench.until("up b")

    assert bench.transport.dialled == ["at-b", "at-b"]


async def test_a_new_address_of_a_wanted_peer_is_tried_without_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "FIRST_RETRY_S", 60.0)
    bench.links.want({"b": "at-old"}, frozenset("mb"))
    await bench.until("failed b: nobody there")

    bench.transport.answers["at-new"] = greet("b")
    bench.links.hint(Hint("at-new", "b"))

    await bench.until("up b")


async def test_a_known_member_that_is_not_wanted_is_not_dialled(bench: Bench) -> None:
    bench.transport.answers |= {"at-a": greet("a"), "at-b": greet("b")}
    bench.links.want({"a": ""}, frozenset("mab"))

    bench.links.hint(Hint("at-b", "b"))
    bench.links.hint(Hint("at-a", "a"))
    await bench.until("up a")

    assert bench.transport.dialled == ["at-a"]


async def test_a_peer_with_another_plan_is_said_and_left_alone_for_long(bench: Bench) -> None:
    bench.transport.answers["at-b"] = RemoteError("it runs another plan", code="wrong_plan")

    bench.links.hint(Hint("at-b", "b"))
    await bench.until("failed b: it runs another plan")
    bench.transport.answers["at-c"] = greet("c")
    bench.links.hint(Hint("at-c", "c"))
    await bench.until("up c")

    assert bench.transport.dialled.count("at-b") == 1


async def test_our_own_address_is_forgotten(bench: Bench) -> None:
    bench.transport.answers["at-m"] = RemoteError("our own id", code="own_id")

    bench.transport.answers["at-b"] = greet("b")
    bench.links.hint(Hint("at-x", "m"))
    bench.links.hint(Hint("at-m"))
    bench.links.hint(Hint("at-b", "b"))
    await bench.until("up b")

    assert bench.transport.dialled.count("at-m") == 1
    assert "at-x" not in bench.transport.dialled
    assert bench.owner.log == ["up b"]


@pytest.mark.parametrize(("peer", "kept"), [("z", "dialled"), ("a", "accepted")])
async def test_of_two_links_the_one_dialled_by_the_smaller_id_is_used(
    bench: Bench, peer: str, kept: str
) -> None:
    accepted = bench.transport.come_up(greet(peer), dialled=False)
    dialled = bench.transport.come_up(greet(peer), dialled=True)

    bench.links.send(peer, Goodbye("test"))

    assert [bool(dialled.sent), bool(accepted.sent)] == [kept == "dialled", kept == "accepted"]
    assert bench.owner.log == [f"up {peer}"]
    bench.transport.go_down(accepted if kept == "dialled" else dialled)
    assert bench.owner.log == [f"up {peer}"]


async def test_a_second_link_of_the_same_direction_replaces_a_stale_one(bench: Bench) -> None:
    bench.transport.come_up(greet("z"), dialled=False)
    newer = bench.transport.come_up(greet("z"), dialled=False)

    bench.links.send("z", Goodbye("test"))

    assert len(newer.sent) == 1
    assert bench.owner.log == ["up z"]


async def test_a_restarted_process_replaces_the_link_of_its_predecessor(bench: Bench) -> None:
    bench.transport.come_up(greet("b", boot=1), dialled=False)

    bench.transport.come_up(greet("b", boot=2, incarnation=2), dialled=False)

    assert bench.owner.log == ["up b", "down b restarted", "up b"]


async def test_a_copy_that_is_no_later_start_is_refused_and_the_older_link_stays(bench: Bench) -> None:
    first = bench.transport.come_up(greet("b", boot=1), dialled=False)
    copy = bench.transport.come_up(greet("b", boot=2), dialled=False)

    assert copy.closed.startswith("duplicate_id")
    assert first.closed == ""
    assert bench.owner.log == ["up b", "failed b: two processes run under this id"]


async def test_a_peer_that_says_goodbye_has_left_and_one_that_breaks_off_has_not(bench: Bench) -> None:
    b = bench.transport.come_up(greet("b"), dialled=False)
    c = bench.transport.come_up(greet("c"), dialled=False)
    assert bench.transport.handler is not None

    bench.transport.handler.packet_received(b, Goodbye("leaving"))
    bench.transport.go_down(b, "closed")
    bench.transport.go_down(c, "reset")

    assert bench.owner.log[2:] == ["down b leaving left", "down c reset"]
    assert not bench.links.send("b", Goodbye("test"))


async def test_a_link_to_a_member_that_is_no_longer_wanted_is_let_go_in_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking_module, "GRACE_S", 0.0)
    link = bench.transport.come_up(greet("b"), dialled=False)
    stranger = bench.transport.come_up(greet("c"), dialled=False)
    bench.links.want({"b": ""}, frozenset("ab"))
    bench.links.let_go()
    assert link.closed == ""

    bench.links.want({}, frozenset("ab"))
    bench.links.let_go()

    assert link.closed == "unneeded"
    assert stranger.closed == ""
    assert bench.owner.log[-1] == "down b unneeded"


async def test_packets_of_a_retired_link_still_arrive(bench: Bench) -> None:
    old = bench.transport.come_up(greet("a"), dialled=True)
    bench.transport.come_up(greet("a"), dialled=False)
    assert bench.transport.handler is not None

    bench.transport.handler.packet_received(old, Goodbye("leaving"))
    bench.transport.handler.packet_received(old, Envelope(Message("note", 1), b""))

    assert bench.owner.log == ["up a", "packet a"]


async def test_a_peer_is_active_while_bytes_arrive_from_it(bench: Bench) -> None:
    b = bench.transport.come_up(greet("b"), dialled=False)
    bench.transport.come_up(greet("c"), dialled=False)
    assert bench.links.active() == []

    b.bytes_received = 1000

    assert bench.links.active() == ["b"]
    assert bench.links.active() == []


async def test_a_goodbye_on_a_retired_link_says_nothing_of_the_one_in_use(bench: Bench) -> None:
    used = bench.transport.come_up(greet("z"), dialled=True)
    retired = bench.transport.come_up(greet("z"), dialled=False)
    assert bench.transport.handler is not None

    bench.transport.handler.packet_received(retired, Goodbye("duplicate"))
    bench.transport.go_down(used, "reset")

    assert bench.owner.log == ["up z", "down z reset"]


async def test_a_retired_link_is_closed_once_nothing_is_under_way_on_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "RETIRE_S", 0.01)
    retired = bench.transport.come_up(greet("a"), dialled=True)
    retired.is_idle = False
    bench.transport.come_up(greet("a"), dialled=False)

    await asyncio.sleep(5 * links_module.RETIRE_S)
    assert retired.closed == ""
    retired.is_idle = True

    await asyncio.wait_for(retired.is_over.wait(), 5)
    assert retired.closed == "duplicate"


@pytest.mark.parametrize("dialled", [True, False])
@pytest.mark.parametrize("peer", ["a", "z"])
async def test_a_peer_that_connects_anew_has_lost_what_was_under_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, peer: str, dialled: bool
) -> None:
    """Its end of the old link is gone, which this side may not have seen: whoever waits must be told."""
    monkeypatch.setattr(links_module, "SAME_TIME_S", -1.0)
    bench.transport.come_up(greet(peer), dialled=dialled)
    newer = bench.transport.come_up(greet(peer), dialled=False)

    bench.links.send(peer, Goodbye("test"))

    assert len(newer.sent) == 1
    assert bench.owner.log == [f"up {peer}", f"down {peer} it has connected anew", f"up {peer}"]


async def test_a_link_that_is_lost_while_its_dial_returns_is_dialled_again(bench: Bench) -> None:
    bench.transport.answers["at-b"] = greet("b")
    bench.transport.is_brief = True
    bench.links.hint(Hint("at-b", "b"))
    await bench.until("down b reset")

    bench.transport.is_brief = False
    bench.owner.log.clear()
    await bench.until("up b")

    assert set(bench.links.linked) == {"b"}


async def test_a_peer_that_breaks_off_at_once_is_not_dialled_in_a_tight_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "FIRST_RETRY_S", 30.0)
    bench.transport.answers["at-z"] = greet("z")
    bench.links.hint(Hint("at-z", "z"))
    await bench.until("up z")
    bench.transport.go_down(bench.transport.links[0])

    bench.transport.answers["at-c"] = greet("c")
    bench.links.hint(Hint("at-c", "c"))
    await bench.until("up c")

    assert bench.transport.dialled.count("at-z") == 1


async def test_strangers_are_remembered_within_a_bound(bench: Bench) -> None:
    for i in range(MAX_PEERS + 50):
        bench.links.hint(Hint(f"at-{i}", f"p{i:03d}"))
    await bench.until("failed p000: nobody there")

    await bench.links.close()

    assert len(set(bench.transport.dialled)) == MAX_PEERS
    bench.links.hint(Hint("at-late", "late"))
    assert "at-late" not in bench.transport.dialled
