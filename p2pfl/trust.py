"""Whose models are accepted here, and who may have ours: two independent lists.

Nothing is negotiated and nothing is inherited: trust is in the sender of a message.  What linked peers say of
their lists (``Words``) decides nothing; it spares messages that would be refused.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """The lists of a node; None stands for everybody (mode ``open``, or ``share_with = "any"``).

    Who has ``proved`` the network key counts as a member of both lists; ``deny`` overrides everything.
    """

    accept_from: frozenset[str] | None = None
    share_with: frozenset[str] | None = None
    observers: frozenset[str] = frozenset()  # may have events, never models
    deny: frozenset[str] = frozenset()
    proved: frozenset[str] = frozenset()

    @property
    def shares_with_everybody(self) -> bool:
        """Is nobody kept from having our model?"""
        return self.share_with is None and not self.deny

    @property
    def is_choosy(self) -> bool:
        """Is there anybody whose models are not accepted?"""
        return self.accept_from is not None or bool(self.deny)

    def accepts(self, peer: str) -> bool:
        """May a model from this peer be merged here?"""
        return peer not in self.deny and (
            self.accept_from is None or peer in self.accept_from or peer in self.proved
        )

    def shares_with(self, peer: str) -> bool:
        """May this peer have our model?"""
        return peer not in self.deny and (
            self.share_with is None or peer in self.share_with or peer in self.proved
        )

    def admits(self, peer: str) -> bool:
        """May there be a link with this peer at all?"""
        is_watching = peer in self.observers and peer not in self.deny
        return is_watching or self.accepts(peer) or self.shares_with(peer)

    def is_guest(self, peer: str) -> bool:
        """Is it let in only because anybody may have our model?"""
        is_open = self.share_with is None and self.accept_from is not None
        return (
            bool(peer)
            and is_open
            and not self.names(peer)
            and peer not in self.proved
            and peer not in self.deny
        )

    def names(self, peer: str) -> bool:
        """Does a list say this very id, so that it may be looked for?"""
        lists = (self.accept_from or frozenset(), self.share_with or frozenset(), self.observers)
        return peer not in self.deny and any(peer in one for one in lists)

    def accepted(self, everyone: frozenset[str]) -> frozenset[str]:
        """Those among ``everyone`` whose models are accepted."""
        if not self.is_choosy:
            return everyone
        return frozenset(peer for peer in everyone if self.accepts(peer))

    def listed(self, everyone: frozenset[str]) -> frozenset[str]:
        """Whom the lists name, whether they are there or not; a list of everybody names ``everyone``."""
        accepted = everyone if self.accept_from is None else self.accept_from
        return (accepted | (self.share_with or frozenset()) | self.proved) - self.deny


@dataclass(frozen=True, slots=True)
class Words:
    """What linked peers say of this node when they greet it: in whose lists it stands."""

    accepts_us: frozenset[str] = frozenset()
    shares_with_us: frozenset[str] = frozenset()

    def said(self, peer: str, *, accepts_us: bool, shares_with_us: bool) -> "Words":
        """With the latest words of a peer; the same object when they are nothing new."""
        before = peer in self.accepts_us, peer in self.shares_with_us
        if before == (accepts_us, shares_with_us):
            return self
        return Words(
            self.accepts_us | {peer} if accepts_us else self.accepts_us - {peer},
            self.shares_with_us | {peer} if shares_with_us else self.shares_with_us - {peer},
        )


@dataclass(frozen=True, slots=True)
class TrustChanged:
    """Other lists are in force from now on."""

    trust: Trust
