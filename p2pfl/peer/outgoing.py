"""Messages that leave behind a checkpoint: after a ``Store``, a later ``Send`` waits for the disk.

A disk that fails does not stop the node, which goes on in memory; but what is not stored is not announced: a
``Send`` after a ``Store`` that failed is held back until a later one has succeeded.  Otherwise a node that is
killed then would say the same token or the same share of a push-sum twice, with another model.  The others
wait for such a node as for a silent one, at most their deadline.  Of held messages those behind the last
``KEPT_UNSTORED`` checkpoints are kept; older ones count as lost.  Tried again is each new checkpoint, and the
last one every ``RETRY_S``, since a node that waits for others makes no new one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from p2pfl.errors import StateError
from p2pfl.events import Send
from p2pfl.model import Checkpoint
from p2pfl.peer.tasks import Tasks

MAX_WAITING = 1024  # sends behind one checkpoint; the oldest is dropped, since sending is best effort
KEPT_UNSTORED = 2  # checkpoints behind which sends are kept while the disk fails
RETRY_S = 5.0

Store: TypeAlias = Callable[[Checkpoint], None]
Action: TypeAlias = Callable[[], None]


class Outgoing:
    """Keeps sends and checkpoints in their order; writes in a thread.

    ``degraded`` is told the error of each checkpoint that could not be stored, and None once one succeeds
    again.  An action in the same queue happens when what was stored before it is on disk, or has failed.
    """

    def __init__(
        self,
        send: Callable[[Send], None],
        store: Store,
        degraded: Callable[[StateError | None], None],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self._send = send
        self._store = store
        self._degraded = degraded
        self._retry_s = retry_s
        self._waiting: deque[Send | Checkpoint | Action] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._unstored: Checkpoint | None = None  # the newest, while the disk fails
        self._held: deque[deque[Send]] = deque(maxlen=KEPT_UNSTORED)  # behind each that is not stored
        self._retry: asyncio.TimerHandle | None = None

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
        """Return when everything put so far is on disk and sent, or the disk has refused it."""
        if self._writer is not None:
            await self._writer
        self._cancel_retry()

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
        if not isinstance(item, Send):
            item()
        elif self._unstored is None:
            self._send(item)
        else:
            self._held[-1].append(item)

    async def _save(self, checkpoint: Checkpoint) -> None:
        self._cancel_retry()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._store, checkpoint)
        except StateError as error:
            self._note_failure(checkpoint, error)
            return
        if self._unstored is not None:
            self._unstored = None
            self._degraded(None)
            held = [item for items in self._held for item in items]
            self._held.clear()
            for item in held:
                self._send(item)

    def _note_failure(self, checkpoint: Checkpoint, error: StateError) -> None:
        if checkpoint is not self._unstored:
            self._unstored = checkpoint
            self._held.append(deque(maxlen=MAX_WAITING))
            self._degraded(error)
        self._retry = asyncio.get_running_loop().call_later(self._retry_s, self._store_again)

    def _store_again(self) -> None:
        if self._unstored is not None and self._writer is None:
            self.put(self._unstored)

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
