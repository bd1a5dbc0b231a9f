"""What waits to be sent to one peer: bounded, newest preferred, answers and heartbeats first."""

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
        self._answers: deque[Item] = deque()
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

    def put_answer(self, item: Item) -> None:
        """Queue the answer to an offer, which is never dropped: it overtakes all messages."""
        self._answers.append(item)

    def put_back(self, item: Item, replaces: str = "") -> None:
        """A message must be sent again, before the others; it goes if it is replaced or there is no room."""
        is_replaced = replaces and any(key == replaces for key, _ in self._messages)
        if is_replaced:
            return
        if len(self._messages) >= self._limits.outbox_messages:
            self.dropped += 1
            return
        self._messages.appendleft((replaces, item))

    @property
    def is_unread(self) -> bool:
        """Does the peer cause answers and not read them?"""
        return len(self._answers) > self._limits.outbox_answers

    def pop_control(self) -> Item | None:
        """The next answer or heartbeat to send, None when none waits."""
        if self._answers:
            return self._answers.popleft()
        return self._controls.popleft() if self._controls else None

    def pop(self) -> Item | None:
        """The next message to send, None when none waits."""
        return self._messages.popleft()[1] if self._messages else None

    def clear(self) -> None:
        """Drop all that waits."""
        self._answers.clear()
        self._controls.clear()
        self._messages.clear()

    def __len__(self) -> int:
        return len(self._answers) + len(self._controls) + len(self._messages)
