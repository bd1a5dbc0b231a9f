"""A bug in what serves one connection ends that connection; the event loop's handler is told whose it was."""

import asyncio
from collections.abc import Iterator

import pytest

from p2pfl.membership import Heartbeat
from p2pfl.transports.fence import CONNECTION, Fence, connection_in
from p2pfl.wire import inbound
from p2pfl.wire.framing import FrameType
from tests.p2pfl.transports.ends import End, World, world_of


@pytest.fixture(params=["tcp", "tls"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of(request.param, "asyncio") as made:
        yield made


def fail(*_: object) -> None:
    raise KeyError("a bug")


def test_a_bug_in_a_decoder_ends_its_link_and_the_next_link_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        with monkeypatch.context() as patch:
            patch.setitem(inbound._DECODERS, FrameType.HEARTBEAT, fail)
            anna.link.send(Heartbeat(1, b"roster"))
            assert await bert.down() == "internal_error"
        await anna.down()
        assert len(world.faults) == 1
        assert "KeyError('a bug')" in world.faults.pop()

        await anna.transport.dial(bert.address)
        anna.link.send(Heartbeat(1, b"roster"))
        assert await bert.packet() == Heartbeat(1, b"roster")

    world.run(story)


def test_a_bug_while_greeting_ends_the_attempt_and_not_the_listener(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        anna, bert = await world.end("anna"), await world.end("bert")
        with monkeypatch.context() as patch:
            patch.setattr(bert, "link_up", fail)
            await anna.transport.dial(bert.address)
            await anna.down()
        assert len(world.faults) == 1
        world.faults.clear()

        await anna.transport.dial(bert.address)
        await bert.until(lambda: bool(bert.links))

    # The handler that fails has not taken the link, so it is not told of its end either.
    monkeypatch.setattr(End, "link_down", lambda end, _link, reason: end.downs.put_nowait(reason))
    world.run(story)


def test_a_fence_keeps_bugs_and_lets_a_cancellation_pass() -> None:
    kept: list[Exception] = []
    error = ValueError("a bug")

    with Fence(kept.append):
        raise error
    with pytest.raises(asyncio.CancelledError), Fence(kept.append):
        raise asyncio.CancelledError

    assert kept == [error]


async def test_a_context_that_names_a_transport_is_about_one_connection() -> None:
    class Socket(asyncio.Transport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return ("10.0.0.7", 80) if name == "peername" else default

    assert connection_in({"message": "Task exception was never retrieved"}) is None
    assert connection_in({"transport": Socket()}) == "10.0.0.7:80"
    assert connection_in({CONNECTION: "tcp://10.0.0.7:80"}) == "tcp://10.0.0.7:80"
