"""Limits that change while a transport listens hold for the links that come afterwards."""

from dataclasses import replace

import pytest

from p2pfl.errors import ConfigError
from p2pfl.transports.tcp import TcpTransport
from p2pfl.wire.limits import Limits
from p2pfl.wire.ping import MAX_PING_BYTES, Ping
from tests.p2pfl.transports.ends import world_of


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_link_has_the_limits_of_the_time_at_which_it_came_up(kind: str) -> None:
    with world_of(kind, "asyncio") as world:

        async def story() -> None:
            anna, bert = await world.pair()
            assert isinstance(bert.transport, TcpTransport)
            bert.transport.change_limits(replace(Limits(), control_frame_bytes=1000))
            anna.link.send(Ping(bytes(MAX_PING_BYTES)))
            await anna.packet()  # the link that was up before goes on as it was

            cleo = await world.end("cleo")
            await cleo.transport.dial(bert.address)
            cleo.link.send(Ping(bytes(1001)))

            assert "too_big" in await cleo.down()

        world.run(story)


def test_limits_below_the_local_model_are_refused_and_change_nothing() -> None:
    with world_of("tcp", "asyncio") as world:

        async def story() -> None:
            end = await world.end("anna", parameters=1_000_000)
            assert isinstance(end.transport, TcpTransport)
            with pytest.raises(ConfigError):
                end.transport.change_limits(replace(Limits(), model_mb=1.0))
            assert end.transport._limits == Limits()

        world.run(story)
