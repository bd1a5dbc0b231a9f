"""Tasks that nobody awaits: kept alive, and never allowed to fail in silence."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Owns background tasks; an unexpected exception goes to the loop's exception handler at once."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, job: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a job in the background."""
        task = asyncio.get_running_loop().create_task(job)
        self._running.add(task)
        task.add_done_callback(self._finish)
        return task

    async def wait(self) -> None:
        """Return when all that runs now has ended."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        await asyncio.gather(*running, return_exceptions=True)

    async def cancel(self) -> None:
        """Cancel what still runs and wait for it."""
        for task in self._running:
            if task is not asyncio.current_task():
                task.cancel()
        await self.wait()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a background task failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
