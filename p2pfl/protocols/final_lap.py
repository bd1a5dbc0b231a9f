"""The lap at the end of a run, without training, that brings the final model to every member."""

from dataclasses import replace

from p2pfl.events import View
from p2pfl.protocols.token import Token


def begin_final_lap(token: Token, me: str) -> Token:
    """The token at the first place of its final lap, the member that trained last."""
    return replace(token, lap=token.lap + 1, position=0, place=me, relays=0, last=me, failed=frozenset())


def next_in_final_lap(view: View, token: Token) -> Token | None:
    """The token on its way to the member after its place; None when the lap is round.

    The lap follows the order of the members.  A place that has left is followed by whoever stands where it
    stood, counted from the member that trained last.
    """
    members, position = view.members, token.position + 1
    if token.place in members:
        index = members.index(token.place) + 1
    else:
        index = (members.index(token.last) if token.last in members else 0) + token.position
    place = members[index % len(members)]
    if place == token.last or position >= len(members):
        return None
    return replace(token, position=position, place=place, relays=0)
