"""The members of a table that count as alive, as one mapping that is made anew only when the ids change."""

from collections.abc import Mapping

from p2pfl.detection.vocabulary import Rumour, State, roster_hash


class Living:
    """Sorted live members, id -> name, with their hash."""

    __slots__ = ("hash", "members")

    def __init__(self) -> None:
        self.members: Mapping[str, str] = {}
        self.hash = b""

    def renew(self, table: Mapping[str, Rumour]) -> None:
        """Follow the table."""
        alive = sorted(member for member, rumour in table.items() if rumour.state is not State.DEAD)
        if alive != list(self.members):
            self.members = {member: table[member].name for member in alive}
            self.hash = roster_hash(alive)
