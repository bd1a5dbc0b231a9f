"""Which members a node keeps links to: all of a small network, of a large one its neighbours and a few."""

from hashlib import sha256

from p2pfl.events import View

FULL_LINKING = 16  # members up to which every pair is linked; beyond, neighbours and SPARE_LINKS more
SPARE_LINKS = 4


def members_to_link(view: View, round: int) -> list[str]:
    """The members to have a link with, sorted."""
    others = [member for member in view.members if member != view.me]
    if len(others) < FULL_LINKING:
        return others
    near = view.neighbourhood(round)
    # A few more by rank of hash: rumours reach all, also where the graph is directed.
    spare = sorted(others, key=lambda member: sha256(f"{view.me}{member}".encode()).digest())
    return sorted({*near.send_to, *near.receive_weights, *spare[:SPARE_LINKS]})
