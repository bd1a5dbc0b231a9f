"""Memory for the bodies that come in: recycled, because fresh pages cost a quarter of the speed.

A body is received into a leased buffer and handed out as a read-only array; the buffer comes back when that
array and every view of it have been collected, in whatever thread that happens.  Views keep the handed-out
array alive, since it stands on a memoryview: numpy follows ``base`` no further than to the last true array.

Two counts are bounded: bodies in transit from all peers, one of each at a time, and buffers that the bodies
of one peer occupy, in transit or in use.  Where a bound is reached ``lease`` returns None, the
caller lets the offer wait, and ``freed`` is called as soon as another attempt may succeed.
"""

import weakref
from collections import Counter, deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2pfl.wire.limits import Limits


class Lease:
    """A buffer for one body in transit: filled through ``memory``, then completed or abandoned, once."""

    def __init__(self, pool: "BufferPool", owner: str, *, buffer: NDArray[np.uint8], size_bytes: int) -> None:
        self._pool = pool
        self._owner = owner
        self._buffer = buffer
        self.memory = buffer.data[:size_bytes]

    def complete(self) -> NDArray[np.uint8]:
        """The body as a read-only array; the buffer returns to the pool when it has been collected."""
        array = np.frombuffer(self.memory.toreadonly(), np.uint8)
        self._pool.hand_out(array, self._owner, self._buffer)
        return array

    def abandon(self) -> None:
        """The body will not be finished: the buffer returns at once."""
        self._pool.take_back(self._owner, self._buffer)


class BufferPool:
    """Leases buffers for inbound bodies; all but the return of a collected array is for one thread."""

    def __init__(self, limits: Limits, freed: Callable[[], None]) -> None:
        self._limits = limits
        self._freed = freed  # called in any thread
        self._in_transit: set[str] = set()  # of whom a body is on its way
        self._held: Counter[str] = Counter()
        self._spare: list[NDArray[np.uint8]] = []
        self._returned: deque[tuple[str, NDArray[np.uint8]]] = deque()
        self._is_awaited = False

    def change_limits(self, limits: Limits) -> None:
        """Other limits, for bodies that come from now on."""
        self._limits = limits
        self._tell()

    def lease(self, owner: str, *, capacity: int, size_bytes: int) -> Lease | None:
        """A buffer of ``capacity`` bytes for a body of ``size_bytes`` from a peer, or None for now."""
        if self._is_full(owner):
            self._is_awaited = True
            if self._is_full(owner):  # looked at again, for an array collected in between
                return None
        self._in_transit.add(owner)
        self._held[owner] += 1
        return Lease(self, owner, buffer=self._buffer(capacity), size_bytes=size_bytes)

    def held(self, owner: str) -> int:
        """The buffers that the bodies of a peer occupy."""
        self._sort_returned()
        return self._held[owner]

    def hand_out(self, array: NDArray[np.uint8], owner: str, buffer: NDArray[np.uint8]) -> None:
        """A body is complete: watch for the collection of the array it is handed out as."""
        self._in_transit.discard(owner)
        weakref.finalize(array, self._give_back, owner, buffer).atexit = False
        self._tell()

    def take_back(self, owner: str, buffer: NDArray[np.uint8]) -> None:
        """A body was given up in transit."""
        self._in_transit.discard(owner)
        self._give_back(owner, buffer)

    def _give_back(self, owner: str, buffer: NDArray[np.uint8]) -> None:
        self._returned.append((owner, buffer))  # atomic: this may be any thread
        self._tell()

    def _tell(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._freed()

    def _is_full(self, owner: str) -> bool:
        self._sort_returned()
        is_crowded = owner in self._in_transit or len(self._in_transit) >= self._limits.inbound_models
        return is_crowded or self._held[owner] >= self._limits.held_models

    def _sort_returned(self) -> None:
        while self._returned:
            owner, buffer = self._returned.popleft()
            self._held[owner] -= 1
            if self._held[owner] == 0:
                del self._held[owner]
            self._spare.append(buffer)
        del self._spare[: -self._limits.spare_models]

    def _buffer(self, capacity: int) -> NDArray[np.uint8]:
        """The spare buffer used last (its pages are the warmest), or a new one."""
        for index in range(len(self._spare) - 1, -1, -1):
            if self._spare[index].size == capacity:
                return self._spare.pop(index)
        return np.empty(capacity, np.uint8)
