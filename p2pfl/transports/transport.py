"""The interface of a transport: links that are up after both sides have greeted each other."""

from collections.abc import Callable
from typing import Protocol

from p2pfl.errors import RemoteError
from p2pfl.wire.packets import Envelope, Greeting, Offer, Packet, Receipt, Reject


class Link(Protocol):
    """One connection to one peer, up from the moment it is handed over until ``link_down``."""

    @property
    def peer(self) -> Greeting:
        """What the other side said of itself."""
        ...

    @property
    def bytes_received(self) -> int:
        """All that has arrived so far; it grows while a long body keeps heartbeats waiting."""
        ...

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent, and no body is offered, half sent or half received."""
        ...

    def send(self, packet: Packet, replaces: str = "") -> None:
        """Queue a packet; never blocks, never raises; drops as the outbox's limit and ``replaces`` say."""
        ...

    def settle(self, sequence: int, code: str, text: str = "") -> None:
        """Give the receipt for a message with arrays that has arrived: ``kept``, or why it was not.

        Owed for each; without receipts the other side stops sending models after a while.
        """
        ...

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye with a code, after the body that is half sent, then close; ``link_down`` follows."""
        ...

    def cut(self, code: str, text: str = "") -> None:
        """As ``close``, but what is half sent is dropped, as is what is half received."""
        ...


class LinkHandler(Protocol):
    """What the owner of a transport is told and asked, always in the event loop's thread."""

    def link_up(self, link: Link, *, dialled: bool) -> None:
        """Both sides have greeted and accepted each other."""
        ...

    def objection(self, link: Link, offer: Offer) -> RemoteError | None:
        """Why the body of an offer is not wanted, with the code for the peer; None to have it sent."""
        ...

    def may_leave(self, link: Link, envelope: Envelope) -> bool:
        """May this message with arrays be offered to the peer now?  It was put in the outbox earlier."""
        ...

    def refused(self, link: Link, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """The peer has rejected the offer of ``unsent``, or, if that is None, not kept what it received."""
        ...

    def packet_received(self, link: Link, packet: Packet) -> None:
        """A packet has arrived whole; arrays in it are read-only and belong to the receiver.

        ``link.settle`` is to be called for each message with arrays.
        """
        ...

    def link_down(self, link: Link, reason: str) -> None:
        """The link is gone, said once per ``link_up``."""
        ...


class Transport(Protocol):
    """Makes links.  Reconnection, duplicates and supervision are the owner's (``p2pfl.peer``)."""

    async def listen(self, greeting: Callable[[], Greeting], handler: LinkHandler) -> str:
        """Accept links from now on; returns the address to dial (``tcp://host:port``).

        Raises ConfigError (exit code 6) when the address is not to be had.
        """
        ...

    async def dial(self, address: str, peer: str = "") -> None:
        """Make one attempt at a link; ``link_up`` has been called when this returns.

        ``peer`` is the id that is meant to answer, "" for any.  Raises TransportError when the peer cannot be
        reached, RemoteError when either side refuses; its ``code`` says why (``wrong_plan``).
        """
        ...

    async def close(self) -> None:
        """Close every link and stop listening."""
        ...
