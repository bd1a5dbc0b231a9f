"""The interface of a transport: links that are up after both sides have greeted each other."""

from collections.abc import Callable
from typing import Protocol

from p2pfl.wire.packets import Greeting, Packet


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
    def is_held_back(self) -> bool:
        """A body of the peer waits for memory of ours, and its heartbeats behind it."""
        ...

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent, and no body is half sent or half received."""
        ...

    def send(self, packet: Packet, replaces: str = "") -> None:
        """Queue a packet; never blocks, never raises; drops as the outbox's limit and ``replaces`` say."""
        ...

    def close(self, code: str, text: str = "") -> None:
        """Say good-bye with a code, then close; ``link_down`` follows."""
        ...


class LinkHandler(Protocol):
    """What the owner of a transport is told, always in the event loop's thread."""

    def link_up(self, link: Link, *, dialled: bool) -> None:
        """Both sides have greeted and accepted each other."""
        ...

    def packet_received(self, link: Link, packet: Packet) -> None:
        """A packet has arrived whole; arrays in it are read-only and belong to the receiver."""
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
