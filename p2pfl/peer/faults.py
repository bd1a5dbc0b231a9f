"""Exceptions that nobody expected: whether one link ends, or the node.

What goes wrong on one link - in its bytes, in its handshake, or while the node listens to what a peer says -
ends that link: otherwise whoever finds such a bug could stop every node, and again after each restart.
Anything else may have left the node's own state half changed.  It ends the node; its checkpoint is there.
"""

import asyncio
import traceback
from collections.abc import Callable, Mapping

from p2pfl.transports.fence import connection_in

FAILED = "link.failed"
CODE = "internal_error"
WORDS = "this node has a fault of its own"
LINES = 40  # of a traceback, the last


class Faults:
    """Sorts exceptions: ``report`` and ``cut`` for those of one link, ``crash`` for all others."""

    def __init__(
        self,
        report: Callable[[str, Mapping[str, object]], None],
        cut: Callable[[str, str, str], None],
        crash: Callable[[Exception], None],
    ) -> None:
        self._report = report
        self._cut = cut
        self._crash = crash
        self.count = 0  # links that have ended so

    def of_peer(self, peer: str, error: Exception) -> None:
        """The node has failed over what a peer said: what was said is dropped, and the link cut."""
        self._note({"peer": peer}, error)
        self._cut(peer, CODE, WORDS)

    def of_node(self, error: Exception) -> None:
        """The node's own state may be half changed: it ends."""
        self._crash(error)

    def of_loop(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
        """The event loop's exception handler."""
        found = context.get("exception")
        error = found if isinstance(found, Exception) else RuntimeError(str(context.get("message")))
        address = connection_in(context)
        if address is None:
            self._crash(error)
        else:
            self._note({"address": address}, error)

    def _note(self, whose: Mapping[str, object], error: Exception) -> None:
        self.count += 1
        lines = [line for part in traceback.format_exception(error) for line in part.splitlines()]
        problem = f"{type(error).__name__}: {error}"
        facts = {"problem": problem, "count": self.count, "traceback": tuple(lines[-LINES:])}
        self._report(FAILED, {**whose, **facts})
