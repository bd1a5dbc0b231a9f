"""Rounds in lockstep: what gossip averaging keeps so that no crash changes a byte on an undirected graph.

A member whose link is down is waited for until it is back, nothing later counts for the model of this round,
and no round is skipped.  A node that is killed has stored all of its rounds but the one under way, so that on
its return its neighbours have come at most one round further; they keep, and store, the trained model of the
round before, and give it to whoever asks again by sending its own.  Along a one-way edge the receiver goes on
as without lockstep.
"""

from p2pfl.events import Effect, Message, Neighbourhood, Send, View
from p2pfl.model import Array, Model, Scalar, Snapshot
from p2pfl.protocols.gossip_exchange import MODEL
from p2pfl.protocols.snapshots import model_values, restored_model

BEFORE = "before"


class Lockstep:
    """Whom a node keeps in step with, and what it shared in the round before; idle unless it is on."""

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on
        self.before: Model | None = None
        self._round = 0  # in which ``before`` was shared

    def values(self) -> dict[str, Scalar | list[Scalar]]:
        """The part of a snapshot that is no array."""
        return {} if self.before is None else dict(model_values(self.before, BEFORE))

    def arrays(self) -> dict[str, Array]:
        """The arrays of a snapshot."""
        return {} if self.before is None else {BEFORE: self.before.params}

    def restore(self, snapshot: Snapshot, round: int) -> None:
        """Take up what a node in lockstep has stored at the beginning of a round."""
        if self.is_on and BEFORE in snapshot.arrays:
            self.done(restored_model(snapshot, BEFORE), round)

    def done(self, trained: Model, round: int) -> None:
        """A round begins; this model was shared in the one before."""
        self.before = trained if self.is_on else None
        self._round = round - 1

    def has_asked(self, view: View, sender: str, round: int) -> bool:
        """Was somebody who shares its model of ``round`` now killed in it, and does it need ours again?"""
        if self.before is None or round != self._round:
            return False
        return sender in view.neighbourhood(round).send_to

    def again(self, to: str, round: int) -> list[Effect]:
        """What this node shared in the round before."""
        return [Send(to, Message(MODEL, round, self.before), replaces=f"{MODEL}.{round}")]

    def senders(self, hood: Neighbourhood) -> frozenset[str]:
        """Senders that are never more than one round away: those this node sends to as well."""
        return frozenset(hood.send_to) & hood.receive_weights.keys() if self.is_on else frozenset()

    def absent(self, hood: Neighbourhood, view: View, round: int) -> set[str]:
        """Of these the ones whose links are down: still members, and senders of the round."""
        here = view.accepted - view.live
        now = view.neighbourhood(round).receive_weights
        return {each for each in self.senders(hood) & here if each in view.members and each in now}
