"""Offers over TCP when memory or patience runs out, on either side."""

import asyncio
import gc
import socket
from collections.abc import Iterator

import pytest

from p2pfl.errors import RemoteError
from p2pfl.membership import Heartbeat
from p2pfl.transports.tcp_link import TcpLink
from p2pfl.wire.framing import FrameType
from p2pfl.wire.limits import Limits
from p2pfl.wire.offer_codec import decode_accept
from p2pfl.wire.packets import Accept
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.transports.strangers import Stranger
from tests.p2pfl.wire.samples import as_bytes, envelope


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of("tcp", request.param) as found:
        yield found


def test_an_offer_waits_while_models_are_in_use_and_heartbeats_flow_meanwhile(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(limits=Limits(held_models=2), parameters=1000)
        for number in range(3):
            anna.link.send(envelope(number, parameters=1000))
        kept = [await bert.message(), await bert.message()]
        await bert.until(lambda: len(bert.offers) == 3)
        anna.link.send(Heartbeat(1, b""))
        assert await bert.packet() == Heartbeat(1, b"")
        assert bert.packets.empty()
        assert not bert.link.is_idle
        kept.clear()
        gc.collect()

        assert (await bert.message()).message.round == 2

    world.run(story)


def test_an_offer_that_waits_too_long_is_made_again_and_its_protocol_hears_nothing_of_it(
    world: World,
) -> None:
    async def story() -> None:
        limits = Limits(held_models=1, offer_wait_s=0.02, offer_again_s=0.02)
        anna, bert = await world.pair(limits=limits, parameters=1000)
        anna.link.send(envelope(0, parameters=1000))
        anna.link.send(envelope(1, parameters=1000))
        kept = [await bert.message()]
        await bert.until(lambda: [offer.round for offer in bert.offers] == [0, 1, 1, 1])
        kept.clear()
        gc.collect()

        assert (await bert.message()).message.round == 1
        assert anna.refusals == []

    world.run(story)


def test_a_body_that_was_accepted_and_never_begins_ends_the_link(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(transfer_window_s=0.05))
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.write(as_bytes(envelope())[:-36])
        number, payload = await stranger.frame()

        assert (number, decode_accept(payload)) == (FrameType.ACCEPT, Accept(0))
        assert (await bert.down()).startswith("too_slow")
        await stranger.rest()

    world.run(story)


def test_whoever_causes_answers_and_does_not_read_them_loses_the_link(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(outbox_answers=8, write_high_water_bytes=64))
        bert.objections[1] = RemoteError("not you", code="not_trusted")
        stranger = await Stranger.calls(bert)
        await stranger.greets()
        stranger.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a read transport too
        assert isinstance(bert.link, TcpLink)
        bert.link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        offers = as_bytes(envelope())[:-36] * 1000
        while bert.downs.empty():
            stranger.writer.write(offers)
            await asyncio.sleep(0)

        assert "does not read our answers" in await bert.down()
        stranger.writer.transport.abort()

    world.run(story)
