"""Feeds a node one event at a time, in the event loop or, for large models, in a worker thread."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from p2pfl.events import Received
from p2pfl.membership import Heard
from p2pfl.node import Node, NodeEffect, NodeInput
from p2pfl.peer.faults import Faults
from p2pfl.peer.tasks import Tasks
from p2pfl.transports.fence import Fence


class Engine:
    """Handles events strictly in order; the effects of one are carried out before the next is handled.

    After an exception over what a peer said, that is dropped.  After any other nothing more is handled: the
    node's state cannot be relied on.  ``faults`` is told of both.
    """

    def __init__(
        self,
        node: Node,
        carry_out: Callable[[NodeEffect], None],
        settled: Callable[[], None],
        *,
        faults: Faults,
        is_offloaded: bool,
    ) -> None:
        self._node = node
        self._carry_out = carry_out
        self._settled = settled
        self._faults = faults
        self._events: deque[NodeInput] = deque()
        self._worker = ThreadPoolExecutor(1, "node") if is_offloaded else None
        self._tasks = Tasks()
        self._is_busy = False
        self._is_closed = False
        self.has_failed = False  # the node's state must not be stored

    def put(self, event: NodeInput) -> None:
        """Handle an event now, or after those that came before it."""
        if self._is_closed:
            return
        self._events.append(event)
        if self._is_busy:
            return
        self._is_busy = True
        if self._worker is None:
            self._handle_all()
        else:
            self._tasks.begin(self._handle_in(self._worker))

    def put_first(self, event: NodeInput) -> None:
        """Handle an event before those that wait, in place of any of its kind among them."""
        if self._is_closed or not self._is_busy:
            self.put(event)
            return
        kept = [each for each in self._events if type(each) is not type(event)]
        self._events.clear()
        self._events.extend([event, *kept])

    async def close(self) -> None:
        """Handle nothing more.

        An event under way is finished and its effects are carried out: what the driver holds (the model it
        shows, the checkpoint) then agrees with the node's state.
        """
        self._is_closed = True
        self._events.clear()
        await self._tasks.wait()
        if self._worker is not None:
            self._worker.shutdown(wait=False)  # it has nothing left to do

    def _handle_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._events:
                event = self._events.popleft()
                with Fence(partial(self._failed, event)):
                    self._finish(self._node.handle(event, loop.time()))
        finally:
            self._is_busy = False

    async def _handle_in(self, worker: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._events:
                event = self._events.popleft()
                with Fence(partial(self._failed, event)):
                    handling = loop.run_in_executor(worker, self._node.handle, event, loop.time())
                    self._finish(await handling)
        finally:
            self._is_busy = False

    def _finish(self, effects: list[NodeEffect]) -> None:
        with Fence(self._crashed):
            for effect in effects:
                self._carry_out(effect)
            self._settled()

    def _failed(self, event: NodeInput, error: Exception) -> None:
        match event:
            case Received(peer) | Heard(peer):
                self._faults.of_peer(peer, error)
            case _:
                self._crashed(error)

    def _crashed(self, error: Exception) -> None:
        self._is_closed = self.has_failed = True
        self._events.clear()
        self._faults.of_node(error)
