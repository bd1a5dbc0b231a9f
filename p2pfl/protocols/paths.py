"""Ways along the directed edges of a view's graph: how to reach a member, and who depends on whom."""

from collections import deque
from collections.abc import Iterable

from p2pfl.events import View
from p2pfl.protocols.token import Token


def way_to(view: View, token: Token) -> str | None:
    """The linked neighbour to hand a token to, so that it comes to its place; None when nobody can help.

    The place itself if it is a neighbour: when its link is down it counts as dead, and nobody is bothered
    with a way round.  Relays send a token back to where it came from only if there is no other way, and
    never hand it on more often than there are members; in the final lap, a leg that begins here is a way of
    its own.
    """
    neighbours = view.neighbourhood(token.hop).send_to
    if token.place not in view.members or token.relays > len(view.members):
        return None
    if token.place in neighbours:
        return token.place if token.place in view.live else None
    linked = [member for member in neighbours if member in view.live]
    is_new_leg = bool(token.last) and token.relays == 0
    onward = linked if is_new_leg else [member for member in linked if member != token.sender]
    way = first_step(view, token.place, round=token.hop, among=onward)
    return first_step(view, token.place, round=token.hop, among=linked) if way is None else way


def first_step(view: View, target: str, *, round: int, among: Iterable[str]) -> str | None:
    """The member of ``among`` that begins a shortest path from this node to ``target``; None without one.

    Breadth first in the order of ``send_to``, so that equal views give equal paths; a path does not come
    back through this node.
    """
    begun = {view.me: ""}
    queue: deque[str] = deque()
    for member in among:
        if member not in begun:
            begun[member] = member
            queue.append(member)
    while queue:
        member = queue.popleft()
        if member == target:
            return begun[member]
        for following in view.neighbourhood(round, member).send_to:
            if following not in begun:
                begun[following] = begun[member]
                queue.append(following)
    return None


def round_that_proves(view: View, sender: str, unsent: int) -> int | None:
    """The first round in which ``sender`` cannot be unless it has done without our message of ``unsent``.

    In lockstep a message needs one round per edge: whoever has sent for round q has merged round q - 1, so
    its senders have sent for q - 1, and so on back to this node.  None when no path leads from this node to
    ``sender`` within as many rounds as there are members: it never depends on us.
    """
    reached = {view.me}
    for merged in range(unsent, unsent + len(view.members)):
        reached |= {to for member in reached for to in view.neighbourhood(merged, member).send_to}
        if sender in reached:
            return merged + 1
    return None
