"""The event loop of a peer stays responsive whatever the size of the model."""

import time
from asyncio import Handle

import numpy as np
import pytest

from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.transports.tcp import TcpTransport
from p2pfl.wire.limits import Limits
from tests.p2pfl.peer.crowd import Crowd, Member

PARAMETERS = 25_000_000  # 100 MB
LIMIT_S = 0.05


class LocalTcp(TcpTransport):
    """TCP on loopback, with the address that the crowd's board of notices asks for."""

    _address = ""

    async def listen(self, *arguments: object, **options: object) -> str:
        self._address = await super().listen(*arguments, **options)  # type: ignore[arg-type]
        return self._address


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """CPU seconds of the loop's thread per callback, and what it was."""
    spent: list[tuple[float, str]] = []
    run = Handle._run

    def timed(self: Handle) -> None:
        began_s = time.thread_time()
        run(self)
        spent.append((time.thread_time() - began_s, repr(self)))

    monkeypatch.setattr(Handle, "_run", timed)
    return spent


def member(crowd: Crowd, name: str, number: int) -> Member:
    def transport() -> LocalTcp:
        return LocalTcp("127.0.0.1", 0, bodies=GossipAveraging.bodies, parameters=PARAMETERS, limits=Limits())

    return crowd.member(name, number, make_transport=transport)


@pytest.mark.slow
async def test_no_callback_of_the_loop_takes_long_with_models_of_100_mb(
    callbacks: list[tuple[float, str]],
) -> None:
    crowd = Crowd(topology="full_mesh", rounds=3, members=3, parameters=PARAMETERS)
    members = [member(crowd, name, number) for number, name in enumerate("abc")]
    for each in members:
        each.start()
        await each.until("node.listening")
    callbacks.clear()  # among them the one that has made the members
    for each in members:
        await each.until("run.finished")

    for each in members:
        np.testing.assert_allclose(each.peer.model.params[[0, -1]], 4.0, rtol=1e-6)
        each.peer.status()
    for each in members:
        await each.stop()

    longest_s, what = max(callbacks)
    assert longest_s < LIMIT_S, what
