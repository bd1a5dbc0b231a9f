"""Whom a node tries to reach, and whom it forgets, so that endless new ids do not make an endless table."""

import asyncio
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from math import inf

MAX_PEERS = 256  # targets that are neither wanted nor linked
MAX_ADDRESSES = 4  # per peer, the newest kept


@dataclass(slots=True)
class Target:
    """One peer, or one address whose peer is not known yet, and the attempts to reach it."""

    id: str
    addresses: list[str] = field(default_factory=list)
    attempts: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)  # a new address, or a link that is lost
    linked_s: float = -inf  # when it was linked last
    is_hinted: bool = False  # discovery or the operator named it, not a rumour

    def note(self, address: str) -> None:
        """Another address of it, perhaps."""
        if address not in self.addresses:
            self.addresses = [address, *self.addresses][:MAX_ADDRESSES]
            self.news.set()


def has_room(targets: Mapping[str, Target], wanted: Container[str]) -> bool:
    """For one more target that is not wanted; those that are wanted the table of members bounds."""
    return sum(key not in wanted for key in targets) < MAX_PEERS


def superfluous(targets: Mapping[str, Target], wanted: Container[str], linked: Container[str]) -> list[str]:
    """Whom to forget of those neither wanted nor linked.

    Those whom only rumours have named, and, of more than ``MAX_PEERS`` others, the ones linked longest ago.
    """
    spare = {key: target for key, target in targets.items() if not (key in wanted or key in linked)}
    rumoured = [key for key, each in spare.items() if each.linked_s == -inf and not each.is_hinted]
    others = sorted(spare.keys() - set(rumoured), key=lambda key: spare[key].linked_s)
    return [*rumoured, *others[: max(0, len(others) - MAX_PEERS)]]
