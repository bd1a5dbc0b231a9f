"""The interface of who owns the links of a peer: what it is told of, and what it is asked."""

from typing import Protocol

from p2pfl.errors import RemoteError, TransportError
from p2pfl.wire.packets import Envelope, Greeting, Offer, Packet, Receipt, Reject


class LinksOwner(Protocol):
    """What the owner is told: about peers, not about connections."""

    def peer_up(self, peer: Greeting) -> None:
        """A first link to this process of the peer is up."""
        ...

    def peer_down(self, peer: Greeting, *, left: bool, reason: str) -> None:
        """The last link is gone; ``left`` when the peer said good-bye."""
        ...

    def peer_failed(self, peer: str, address: str, error: TransportError | RemoteError) -> None:
        """No address of a peer answered, here the last; ``peer`` is "" while its id is not known."""
        ...

    def packet_arrived(self, peer: str, packet: Packet) -> None:
        """A packet from a linked peer; ``settle`` is to be called for each message with arrays."""
        ...

    def objection(self, peer: str, offer: Offer) -> RemoteError | None:
        """Why what a peer offers is not wanted; None to have it sent."""
        ...

    def may_leave(self, peer: str) -> bool:
        """May a model be offered to this peer now?"""
        ...

    def model_refused(self, peer: str, answer: Reject | Receipt, *, unsent: Envelope | None) -> None:
        """A peer has rejected the offer of ``unsent``, or, if that is None, not kept what it received."""
        ...
