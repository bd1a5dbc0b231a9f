"""Whom a node lets in, and whom it goes to see: gate 1 of one-way trust.

Only ids that are proved come here: a stranger who does not hold the key of an id neither learns who is on
the lists nor fills the list of those who knocked in vain.
"""

from collections.abc import Mapping
from dataclasses import replace

from p2pfl.errors import RemoteError
from p2pfl.trust import Trust

MAX_PENDING = 64  # strangers remembered, in memory only; the oldest give way
MAX_PROVED = 4096  # ids that a network key may bring in one life of a process


class NotAdmittedError(RemoteError):
    """A proved stranger: in our words, and in those that it may read itself."""

    def __init__(self, peer: str, *, has_tickets: bool) -> None:
        super().__init__(f"{peer} is not on our lists", code="not_admitted")
        self.peer = peer
        way = "a ticket: p2pnode invite there, p2pnode join here"
        if not has_tickets:
            way = f"its owner's consent, there: p2pnode trust add {peer}"
        self.there = f"the node does not know us; what is needed is {way}"


class Admission:
    """Decides with a node's ``Trust``, and keeps who has proved the network key."""

    def __init__(self, trust: Trust, *, network_key: bytes | None = None) -> None:
        self.trust = trust
        self.network_key = network_key
        self._pending: dict[str, str] = {}

    @property
    def pending(self) -> Mapping[str, str]:
        """Strangers who knocked (id -> the address they came from), oldest first."""
        return dict(self._pending)

    def change(self, trust: Trust) -> None:
        """New lists are in force; who has proved the network key stays proved."""
        self.trust = replace(trust, proved=self.trust.proved - trust.deny)
        self._pending = {peer: where for peer, where in self._pending.items() if not trust.admits(peer)}

    def admit(self, peer: str, *, has_network_key: bool, address: str = "") -> None:
        """Let a proved id in, or raise NotAdmittedError."""
        self._note_proof(peer, has_network_key=has_network_key)
        if self.trust.admits(peer):
            self._pending.pop(peer, None)
            return
        if peer not in self.trust.deny:
            self._pending.pop(peer, None)
            self._pending[peer] = address
            for oldest in list(self._pending)[:-MAX_PENDING]:
                del self._pending[oldest]
        raise NotAdmittedError(peer, has_tickets=self.network_key is not None)

    def may_dial(self, peer: str) -> bool:
        """Is this id one to look for: in ticket mode any of the network, otherwise a listed one?"""
        if self.network_key is not None:
            return peer not in self.trust.deny
        return self.trust.names(peer)

    def check_dialled(self, peer: str) -> None:
        """May this node show itself to the server that has just proved this id?  Raises RemoteError."""
        if not self.may_dial(peer):
            raise RemoteError(f"the node there is {peer}, which is on none of our lists", code="not_listed")

    def met(self, peer: str, *, has_network_key: bool) -> None:
        """A server that we dialled has answered; raises RemoteError when it is none of ours after all."""
        self._note_proof(peer, has_network_key=has_network_key)
        if not self.trust.admits(peer):
            raise RemoteError("the node there does not have our network key", code="wrong_network_key")

    def _note_proof(self, peer: str, *, has_network_key: bool) -> None:
        known = self.trust.proved
        if not has_network_key or peer in known or peer in self.trust.deny or len(known) >= MAX_PROVED:
            return
        self.trust = replace(self.trust, proved=known | {peer})
