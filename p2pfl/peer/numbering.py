"""The numbers of a process's messages with arrays: (start, sequence), above all that it has ever sent.

A start has the number of the last one + 1, from the state folder.  Where that folder was lost, or replaced by
an older copy, the node begins again with numbers that its peers have seen, and is refused as a repetition.
Whoever refuses says the mark that it keeps of this node; if that is above everything sent by this process,
the start is raised above it, on disk first, and the next message comes in.  The receiver's marks never go
back, so that nothing recorded can be played again.

A peer that lies about its mark uses few numbers up: in all, a process raises its start by ``MAX_OUTRUN`` at
most, so that it takes 2^44 starts to come to the end of them, and the next start's incarnation is still
believed by members to whom it is only a rumour (``p2pfl.membership.MAX_LEAP``).
"""

import asyncio
from collections.abc import Callable, Mapping

from p2pfl.errors import StateError
from p2pfl.peer.tasks import Tasks

MAX_OUTRUN = 2**19


class Numbering:
    """Gives out numbers; ``store`` blocks until a start is on disk, and raises StateError."""

    def __init__(
        self,
        start: int,
        store: Callable[[int], None],
        report: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self.start = start
        self.sequence = 0  # the last one given out
        self._first = start
        self._store = store
        self._report = report
        self._tasks = Tasks()
        self._raising: asyncio.Task[None] | None = None

    def next(self) -> tuple[int, int]:
        """The (start, sequence) of one more message."""
        self.sequence += 1
        return self.start, self.sequence

    def refused(self, peer: str, mark: tuple[int, int]) -> None:
        """A peer has refused a message as repeated: ``mark`` is the last that it says it had from here."""
        if mark <= (self.start, self.sequence) or self._raising is not None:
            return
        facts: dict[str, object] = {"peer": peer, "start": mark[0], "own": self.start}
        if mark[0] - self._first >= MAX_OUTRUN:
            problem = "it claims to have had messages that this node cannot have sent"
            self._report("peer.refused", {**facts, "code": "wild_mark", "problem": problem})
            return
        self._report("node.renumbered", facts)
        self._raising = self._tasks.begin(self._raise(mark[0] + 1))

    async def close(self) -> None:
        """Give up what is not on disk yet."""
        await self._tasks.cancel()

    async def _raise(self, start: int) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._store, start)
        except StateError as error:
            self._report("state.degraded", {"problem": str(error), "reason": error.what})
        else:
            self.start = start
        finally:
            self._raising = None
