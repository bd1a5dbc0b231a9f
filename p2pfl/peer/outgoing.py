"""Messages that leave behind a checkpoint: after a ``Store``, a later ``Send`` waits for the disk."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from p2pfl.errors import StateError
from p2pfl.events import Send
from p2pfl.model import Checkpoint
from p2pfl.peer.tasks import Tasks

MAX_WAITING = 1024  # sends behind one checkpoint; the oldest is dropped, since sending is best effort

Store: TypeAlias = Callable[[Checkpoint], None]
Action: TypeAlias = Callable[[], None]


class Outgoing:
    """Keeps sends and checkpoints in their order; writes in a thread.

    A disk that fails degrades the node, it does not stop it: ``degraded`` is told the error, and None once a
    checkpoint succeeds again.  An action in the same queue happens when what was stored before it is on disk.
    """

    def __init__(
        self,
        send: Callable[[Send], None],
        store: Store,
        degraded: Callable[[StateError | None], None],
    ) -> None:
        self._send = send
        self._store = store
        self._degraded = degraded
        self._waiting: deque[Send | Checkpoint | Action] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._is_degraded = False

    def put(self, item: Send | Checkpoint | Action) -> None:
        """Send, or act, now if nothing is being stored, else in turn."""
        if self._writer is None and not isinstance(item, Checkpoint):
            self._carry_out(item)
            return
        if isinstance(item, Checkpoint) and self._waiting and isinstance(self._waiting[-1], Checkpoint):
            self._waiting.pop()  # the newer one says all that it says
        if len(self._waiting) >= MAX_WAITING:
            self._drop_oldest_send()
        self._waiting.append(item)
        if self._writer is None:
            self._writer = self._tasks.begin(self._write())

    async def flush(self) -> None:
        """Return when everything put so far is on disk and sent."""
        if self._writer is not None:
            await self._writer

    def _drop_oldest_send(self) -> None:
        oldest = next(item for item in self._waiting if isinstance(item, Send))
        self._waiting.remove(oldest)

    async def _write(self) -> None:
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Checkpoint):
                await self._save(item)
            else:
                self._carry_out(item)
        self._writer = None

    def _carry_out(self, item: Send | Action) -> None:
        if isinstance(item, Send):
            self._send(item)
        else:
            item()

    async def _save(self, checkpoint: Checkpoint) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._store, checkpoint)
        except StateError as error:
            self._is_degraded = True
            self._degraded(error)
            return
        if self._is_degraded:
            self._is_degraded = False
            self._degraded(None)
