"""What a node keeps of each peer that it has a link with: when it was heard, and whether rosters agree."""

from collections.abc import Iterator

MAX_DOUBTS = 3  # doublings of the patience with a peer whom others hear and this node does not
FIRST_EXCHANGE = 3.0  # heartbeats for which rosters may differ before the tables are exchanged
MAX_EXCHANGE = 96.0  # ... at last, when exchanging them did not help


class Contact:
    """One linked peer."""

    __slots__ = ("differs_s", "doubts", "exchange_after", "hash", "heard_s")

    def __init__(self, now_s: float) -> None:
        self.heard_s = now_s
        self.doubts = 0  # suspicions of this peer since it was heard last
        self.differs_s: float | None = None  # since when its roster is another
        self.exchange_after = FIRST_EXCHANGE
        self.hash = b""  # of its roster, while that is another

    def hear(self, now_s: float) -> None:
        """Something has arrived from the peer."""
        self.heard_s = now_s
        self.doubts = 0

    def is_silent(self, now_s: float, silence_s: float) -> bool:
        """Was nothing heard for ``silence_s``, or longer if suspecting it turned out wrong before?"""
        return now_s - self.heard_s > silence_s * (1 << min(self.doubts, MAX_DOUBTS))

    def doubt(self, now_s: float) -> None:
        """The peer is suspected: once more only after a longer silence."""
        self.doubts += 1
        self.heard_s = now_s

    def agree(self) -> None:
        """The rosters are equal."""
        self.differs_s = None
        self.exchange_after = FIRST_EXCHANGE

    def needs_exchange(self, roster: bytes, now_s: float, *, heartbeat_s: float) -> bool:
        """The rosters differ: have they for so long that the whole table should be told?

        Each exchange that changes nothing doubles the time to the next.
        """
        if roster != self.hash:
            self.hash = roster
            self.exchange_after = FIRST_EXCHANGE
        if self.differs_s is None:
            self.differs_s = now_s
        if now_s - self.differs_s < self.exchange_after * heartbeat_s:
            return False
        self.differs_s = now_s
        self.exchange_after = min(2 * self.exchange_after, MAX_EXCHANGE)
        return True


class Contacts:
    """The linked peers, and their ids as one set that is made anew only when it changes."""

    __slots__ = ("_by_peer", "linked")

    def __init__(self) -> None:
        self._by_peer: dict[str, Contact] = {}
        self.linked: frozenset[str] = frozenset()

    def get(self, peer: str) -> Contact | None:
        """The contact with a peer, None without a link."""
        return self._by_peer.get(peer)

    def add(self, peer: str, now_s: float) -> None:
        """A link is up."""
        self._by_peer[peer] = Contact(now_s)
        self.linked = frozenset(self._by_peer)

    def remove(self, peer: str) -> None:
        """The link is gone."""
        if self._by_peer.pop(peer, None) is not None:
            self.linked = frozenset(self._by_peer)

    def forgive(self, lag_s: float) -> None:
        """Time in which this node heard nobody does not count as their silence."""
        for contact in self._by_peer.values():
            contact.heard_s += lag_s

    def silent(self, now_s: float, silence_s: float) -> Iterator[tuple[str, Contact]]:
        """Those of whom nothing was heard for too long."""
        return ((p, c) for p, c in self._by_peer.items() if c.is_silent(now_s, silence_s))
