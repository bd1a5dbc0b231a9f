import asyncio

import pytest

from p2pfl.errors import TransportError
from p2pfl.peer import pings as pings_module
from p2pfl.peer.pings import IN_FLIGHT, LARGE_PINGS, ROUND_TRIPS, Pings
from p2pfl.wire.packets import Packet
from p2pfl.wire.ping import ECHOES_PER_S, MAX_PING_BYTES, Ping, Pong
from tests.p2pfl.peer.crowd import Crowd


class Road:
    """Sends pings to one peer, which answers at once, unless the ping is one of those it loses."""

    def __init__(self, *, lost: frozenset[int] = frozenset(), is_up: bool = True) -> None:
        self.pings = Pings(self.send)
        self.lost = lost
        self.is_up = is_up
        self.sizes: list[int] = []
        self.under_way = self.most = 0

    def send(self, peer: str, packet: Packet) -> bool:
        assert isinstance(packet, Ping)
        self.sizes.append(len(packet.payload))
        if self.is_up and len(self.sizes) not in self.lost:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            asyncio.get_running_loop().call_soon(self.answer, peer, packet)
        return self.is_up

    def answer(self, peer: str, packet: Ping) -> None:
        self.under_way -= 1
        self.pings.answered("somebody else", Pong(packet.payload))  # who does not have it to give
        self.pings.answered(peer, Pong(packet.payload))


async def test_small_pings_go_one_by_one_and_large_ones_together() -> None:
    road = Road()

    found = await road.pings.measure("b")

    assert len(found.round_trips_s) == ROUND_TRIPS
    assert road.sizes == [8] * ROUND_TRIPS + [MAX_PING_BYTES] * LARGE_PINGS
    assert road.most == IN_FLIGHT
    assert found.echoed_bytes == LARGE_PINGS * MAX_PING_BYTES
    assert found.bytes_per_s is not None
    assert found.bytes_per_s > 0
    assert len(road.sizes) < ECHOES_PER_S  # a peer answers them all


async def test_a_ping_that_is_lost_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pings_module, "ANSWER_S", 0.02)
    road = Road(lost=frozenset({2, *range(6, 30)}))

    found = await road.pings.measure("b")

    assert len(found.round_trips_s) == ROUND_TRIPS - 1
    assert found.bytes_per_s is None


async def test_no_answer_and_no_link_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pings_module, "ANSWER_S", 0.02)

    with pytest.raises(TransportError, match="no answer came within"):
        await Road(lost=frozenset(range(30))).pings.measure("b")
    with pytest.raises(TransportError, match="there is no link to it"):
        await Road(is_up=False).pings.measure("b")


async def test_peers_measure_the_link_between_them() -> None:
    crowd = Crowd(members=2)
    anna, bert = crowd.member("a", 0), crowd.member("b", 1)
    for each in (anna, bert):
        each.start()
    for each in (anna, bert):
        await each.until("peer.up")

    found = await anna.peer.ping("b")

    assert len(found.round_trips_s) == ROUND_TRIPS
    assert found.bytes_per_s is not None
    with pytest.raises(TransportError, match="there is no link"):
        await anna.peer.ping("c")
    for each in (anna, bert):
        await each.stop()
