"""The interface of a discovery."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a node lets others find: its id, the network's 32-byte id, and where it listens."""

    id: str
    network: bytes
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody may listen at ``address`` (``tcp://host:port``); ``id`` is "" where it is not known.

    ``gone`` takes an earlier hint back.
    """

    address: str
    id: str = ""
    source: str = "static"
    gone: bool = False


class Discovery(Protocol):
    """Finds peers and lets them find this node, until closed."""

    async def start(self, announcement: Announcement, found: Callable[[Hint], None]) -> None:
        """Announce and browse; ``found`` is called in the event loop's thread."""
        ...

    async def close(self) -> None:
        """Take the announcement back and stop browsing."""
        ...
