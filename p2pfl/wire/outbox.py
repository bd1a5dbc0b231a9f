"""What waits to be sent to one peer: bounded, newest preferred, heartbeats first."""

from collections import deque
from typing import Generic, TypeVar

from p2pfl.wire.limits import Limits

Item = TypeVar("Item")


class Outbox(Generic[Item]):
    """Unsent packets to one peer; a new one never waits, an old one is dropped instead.

    A protocol's later message makes its earlier ones pointless more often than the other way round, hence
    the oldest goes.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._controls: deque[Item] = deque()
        self._messages: deque[tuple[str, Item]] = deque()
        self.dropped = 0  # for want of room, not those replaced

    def put(self, item: Item, replaces: str = "") -> None:
        """Queue a message; an unsent one with the same non-empty key is dropped."""
        if replaces:
            kept = [entry for entry in self._messages if entry[0] != replaces]
            self._messages = deque(kept)
        self._messages.append((replaces, item))
        if len(self._messages) > self._limits.outbox_messages:
            self._messages.popleft()
            self.dropped += 1

    def put_control(self, item: Item) -> None:
        """Queue a heartbeat: it overtakes all messages."""
        self._controls.append(item)
        if len(self._controls) > self._limits.outbox_controls:
            self._controls.popleft()
            self.dropped += 1

    def pop(self) -> Item | None:
        """The next packet to send, None when nothing waits."""
        if self._controls:
            return self._controls.popleft()
        if self._messages:
            return self._messages.popleft()[1]
        return None

    def clear(self) -> None:
        """Drop all that waits."""
        self._controls.clear()
        self._messages.clear()

    def __len__(self) -> int:
        return len(self._controls) + len(self._messages)
