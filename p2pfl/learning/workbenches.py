"""Several threads that compute with torch, each on one thread of torch's and on a workbench of its own.

Threads that share one tensor wait for each other in a busy loop, which a busy machine makes several times
slower; and ``torch.func`` puts tensors into the module while it calls it, so that no two threads may share
a module.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

import torch

from p2pfl.learning.torch_globals import one_thread

Workbench = TypeVar("Workbench")
Item = TypeVar("Item")
Done = TypeVar("Done")


class Workbenches(Generic[Workbench]):
    """As many as torch has threads, or one on a device other than the CPU; made when they are needed."""

    def __init__(
        self, make: Callable[[], Workbench], *, device: torch.device, is_deterministic: bool
    ) -> None:
        self._make = make
        self._threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._is_deterministic = is_deterministic
        self._made: list[Workbench] = []

    def each(self, work: Callable[[Workbench, Item], Done], items: Sequence[Item]) -> list[Done]:
        """``work`` on every item, in their order; which thread does which changes nothing."""
        threads = min(self._threads, len(items))
        self._made += [self._make() for _ in range(threads - len(self._made))]
        free: SimpleQueue[Workbench] = SimpleQueue()
        for bench in self._made:
            free.put(bench)

        def alone(item: Item) -> Done:
            bench = free.get()
            try:
                with one_thread(is_deterministic=self._is_deterministic):
                    return work(bench, item)
            finally:
                free.put(bench)

        if threads < 2:
            return [alone(item) for item in items]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(alone, items))
