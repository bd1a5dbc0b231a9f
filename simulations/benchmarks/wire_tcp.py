"""Our side of the wire benchmark: models through ``TcpTransport``, from a vector to a vector."""

import asyncio
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import RemoteError
from p2pfl.events import Message
from p2pfl.model import Model
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tls import Security
from p2pfl.transports.transport import Link
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import KEPT, Envelope, Greeting, Offer, Packet, Receipt, Reject
from simulations.benchmarks.wire_raw import TIMEOUT_S, WARM_UP

BODIES = {"model": (1, "float32")}


class End:
    """Wants every model, and lets every model go."""

    def objection(self, link: Link, offer: Offer) -> RemoteError | None:
        """None."""

    def may_leave(self, link: Link, envelope: Envelope) -> bool:  # noqa: ARG002
        """It may."""
        return True

    def refused(self, link: Link, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """Never happens."""


class Sender(End):
    """Waits for the answer to each model."""

    def __init__(self) -> None:
        self.link: Link
        self.answered = asyncio.Event()

    def link_up(self, link: Link, *, dialled: bool) -> None:  # noqa: ARG002
        """Keep the link."""
        self.link = link

    def packet_received(self, link: Link, packet: Packet) -> None:  # noqa: ARG002
        """The receiver has a model."""
        self.answered.set()

    def link_down(self, link: Link, reason: str) -> None:
        """Nothing to do."""


class Holder(End):
    """Keeps the latest model and drops the one before, as a protocol would, and answers."""

    def __init__(self) -> None:
        self.latest: Model | None = None
        self.is_over = asyncio.Event()

    def link_up(self, link: Link, *, dialled: bool) -> None:
        """Nothing to do."""

    def packet_received(self, link: Link, packet: Packet) -> None:
        """Take a model and say so."""
        if isinstance(packet, Envelope):
            self.latest = packet.message.model
            link.settle(packet.sequence, KEPT)
            link.send(Envelope(Message("taken", packet.message.round), b""))

    def link_down(self, link: Link, reason: str) -> None:  # noqa: ARG002
        """The sender is done."""
        self.is_over.set()


async def send_tcp(
    address: str, vector: NDArray[np.float32], *, models: int, security: Security | None = None
) -> float:
    """Seconds for ``models`` vectors, each acknowledged by a message."""
    transport = _transport(vector.size, security)
    sender = Sender()
    await transport.listen(lambda: _greeting("sender"), sender)
    await transport.dial(address)
    async with asyncio.timeout(TIMEOUT_S):
        for count in range(WARM_UP + models):
            if count == WARM_UP:
                start_s = time.perf_counter()
            sender.answered.clear()
            sender.link.send(Envelope(Message("model", count, Model(vector)), b""))
            await sender.answered.wait()
    seconds = time.perf_counter() - start_s
    await transport.close()
    return seconds


async def receive_tcp(
    parameters: int, announce: Callable[[str], None], *, security: Security | None = None
) -> None:
    """Receive vectors from one sender until it says good-bye."""
    transport = _transport(parameters, security)
    holder = Holder()
    announce(await transport.listen(lambda: _greeting("receiver"), holder))
    await holder.is_over.wait()
    await transport.close()


def _transport(parameters: int, security: Security | None) -> TcpTransport:
    return TcpTransport(
        "127.0.0.1", 0, bodies=BODIES, parameters=parameters, limits=Limits(), security=security
    )


def _greeting(id: str) -> Greeting:
    return Greeting(
        id, id, network=bytes(32), incarnation=1, boot=bytes(8), plan=bytes(8), plan_words="benchmark"
    )
