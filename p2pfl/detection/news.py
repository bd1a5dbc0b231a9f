"""What is still to be told: to everybody so many times, and to single peers once.

Members stand for what the table says of them when the heartbeat is sent, so that nothing outdated is told.
"""

from collections.abc import Iterable

ROOM_FOR_ONE = 16  # places of a full heartbeat that are kept for what a single peer is to be told


class News:
    """Queues of members to talk about; each holds a member at most once, so that the table bounds them."""

    __slots__ = ("_for_one", "_repeats")

    def __init__(self) -> None:
        self._repeats: dict[str, int] = {}  # member -> how often it is still to be told to all
        self._for_one: dict[str, dict[str, None]] = {}  # peer -> members, in order

    @property
    def is_waiting(self) -> bool:
        """Is there anything to tell?"""
        return bool(self._repeats or self._for_one)

    def sizes(self) -> tuple[int, int]:
        """Members to be told to all, and the longest queue of a single peer."""
        return len(self._repeats), max(map(len, self._for_one.values()), default=0)

    def spread(self, member: str, times: int) -> None:
        """Tell everybody about a member, ``times`` times."""
        self._repeats[member] = times

    def tell(self, peer: str, members: Iterable[str]) -> None:
        """Tell one peer about members, once."""
        queue = self._for_one.setdefault(peer, {})
        queue.update(dict.fromkeys(members))
        if not queue:
            del self._for_one[peer]

    def drop_peer(self, peer: str) -> None:
        """The link is gone."""
        self._for_one.pop(peer, None)

    def drop_member(self, member: str) -> None:
        """The member is forgotten."""
        self._repeats.pop(member, None)
        for peer in [peer for peer, queue in self._for_one.items() if member in queue]:
            del self._for_one[peer][member]
            self.tell(peer, ())

    def take(self, at_most: int) -> list[str]:
        """Members to be told to everybody now."""
        if not self._repeats:
            return []
        room = at_most - ROOM_FOR_ONE if self._for_one else at_most
        # The least often repeated first, so that news overtake what has been said already.
        chosen = sorted(self._repeats, key=lambda m: (-self._repeats[m], m))[:room]
        for member in chosen:
            self._repeats[member] -= 1
            if self._repeats[member] <= 0:
                del self._repeats[member]
        return chosen

    @property
    def peers(self) -> frozenset[str]:
        """Peers for whom alone there is something."""
        return frozenset(self._for_one)

    def take_for(self, peer: str, at_most: int) -> list[str]:
        """Members to be told to this peer alone now."""
        queue = self._for_one.get(peer)
        if queue is None:
            return []
        chosen = list(queue)[:at_most]
        for member in chosen:
            del queue[member]
        if not queue:
            del self._for_one[peer]
        return chosen
