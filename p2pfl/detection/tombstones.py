"""The dead are remembered for a while, so that an old rumour does not revive them, and then forgotten.

A death that this node has seen for itself (it believed the member alive before) is told to others; one that
it only heard of, of a member it never knew, is kept to itself.  Otherwise tombstones would be handed on for
ever, each time with a new life.
"""


class Tombstones:
    """When each dead member died, and whether that is to be told."""

    __slots__ = ("_buried_s", "_hearsay", "_life_s")

    def __init__(self, life_s: float) -> None:
        self._life_s = life_s
        self._buried_s: dict[str, float] = {}  # in the order of the deaths
        self._hearsay: set[str] = set()

    def __len__(self) -> int:
        return len(self._buried_s)

    def bury(self, member: str, now_s: float, *, is_hearsay: bool) -> None:
        """A member is dead, or dead once more."""
        self._buried_s.pop(member, None)
        self._buried_s[member] = now_s
        if is_hearsay:
            self._hearsay.add(member)

    def remove(self, member: str) -> None:
        """The member is alive after all."""
        self._buried_s.pop(member, None)
        self._hearsay.discard(member)

    def is_hearsay(self, member: str) -> bool:
        """Was the member never alive as far as this node knows?"""
        return member in self._hearsay

    def oldest(self) -> str | None:
        """Who died first of all."""
        return next(iter(self._buried_s), None)

    def expired(self, now_s: float) -> list[str]:
        """Members who have been dead for so long that nobody speaks of them any more."""
        found = []
        for member, buried_s in self._buried_s.items():
            if now_s - buried_s < self._life_s:
                break
            found.append(member)
        return found
