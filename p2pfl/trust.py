"""Whose models are accepted here, and who may have ours: two independent lists.

Nothing is negotiated and nothing is inherited: trust is in the sender of a message.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """The two lists of a node; None stands for everybody (mode ``open``)."""

    accept_from: frozenset[str] | None = None
    share_with: frozenset[str] | None = None

    def accepts(self, peer: str) -> bool:
        """May a model from this peer be merged here?"""
        return self.accept_from is None or peer in self.accept_from

    def shares_with(self, peer: str) -> bool:
        """May this peer have our model?"""
        return self.share_with is None or peer in self.share_with

    def accepted(self, everyone: frozenset[str]) -> frozenset[str]:
        """Those among ``everyone`` whose models are accepted."""
        return everyone if self.accept_from is None else everyone & self.accept_from
