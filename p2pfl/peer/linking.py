"""Which members a node keeps links to: all of a small network; of a large one its neighbours and some more.

Who is linked is watched: the end of the link, or silence on it, is how a death is noticed.  The members stand
in three rings, each in an order of its own by hash; everybody keeps links to the two before and the two after
it in the first, and to the one before and after it in the others.  So at least four members watch each one
(of a network larger than ``FULL_LINKING``), rumours cross any network in a few steps also where the graph is
directed, and who comes or goes changes the links of its neighbours in the rings alone.  All of this is a
function of the roster, and mutual: with equal rosters both ends want a link, or neither does.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256

from p2pfl.events import View

FULL_LINKING = 16  # members up to which every pair is linked; beyond, graph neighbours and those in the rings
RING_STEPS = (2, 1, 1)  # ring by ring, how many places before and after it a member is linked with
UNNEEDED = "unneeded"  # the code with which a link is closed that neither side wants any more
GRACE_S = 60.0  # for which a link is kept after it was wanted last
LONGEST_GRACE_S = 3600.0  # when the other side has wanted it all the same, again and again


def members_to_link(view: View, near: Collection[str]) -> list[str]:
    """The members to have a link with, sorted; ``near`` are those whom the graph asks for."""
    others = [member for member in view.members if member != view.me]
    if len(others) < FULL_LINKING:
        return others
    in_rings = ring_links(view.members)[view.me] if view.me in view.members else frozenset()
    return sorted({*near, *in_rings})


def ring_links(members: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each member those that it is linked with for the sake of watching and of rumours."""
    linked: dict[str, set[str]] = {member: set() for member in members}
    for number, steps in enumerate(RING_STEPS):
        ring = sorted(members, key=lambda member: sha256(f"{number} {member}".encode()).digest())
        for step in range(1, steps + 1):
            for member, other in zip(ring, ring[step:] + ring[:step], strict=True):
                linked[member].add(other)
                linked[other].add(member)
    return {member: frozenset(others - {member}) for member, others in linked.items()}


class Surplus:
    """Links that are no longer wanted, and since when."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        self._grace_s: dict[str, float] = {}  # of members whose links were closed before

    def look(self, linked: Iterable[str], wanted: Collection[str], now_s: float) -> list[str]:
        """The links to close now; the next time a link to the same member is kept twice as long."""
        unwanted = [peer for peer in linked if peer not in wanted]
        self._since_s = {peer: self._since_s.get(peer, now_s) for peer in unwanted}
        over = [p for p, s in self._since_s.items() if now_s - s >= self._grace_s.get(p, GRACE_S)]
        for peer in over:
            self._grace_s[peer] = min(2 * self._grace_s.get(peer, GRACE_S), LONGEST_GRACE_S)
        return over

    def forget(self, known: Collection[str]) -> None:
        """Of those who are no members any more nothing is kept."""
        self._grace_s = {peer: grace_s for peer, grace_s in self._grace_s.items() if peer in known}
