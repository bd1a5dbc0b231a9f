"""A log handler that never waits: stderr may be a pipe that nobody reads, or a terminal that is held.

Lines go into a queue of bounded length and from there, in a thread of their own, to the descriptor.  When the
queue is full new lines are dropped and counted; the count stands in the log as soon as there is room again.
The thread writes to the descriptor itself: a lock of ``sys.stderr`` that is held for ever would keep the
interpreter from ending in order.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable

MAX_QUEUED_LINES = 1024
FLUSH_S = 1.0  # waited at the end for lines that are still queued


class PatientHandler(logging.Handler):
    """Writes formatted records to a file descriptor, and never makes the caller wait for its reader."""

    def __init__(self, descriptor: int, *, write: Callable[[int, bytes], int] = os.write) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._write = write
        self._queue: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None  # made with the first line: a fork copies no thread
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line; drop and count it when nobody has read the last ``MAX_QUEUED_LINES``."""
        line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        with self._changed:
            if len(self._queue) >= MAX_QUEUED_LINES:
                self._left_out += 1
                return
            self._queue.append(line)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="log-writer", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until all is written, for ``FLUSH_S`` at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue, FLUSH_S)

    def _drain(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue))
                line = self._queue[0]
            self._put(line)
            with self._changed:
                self._queue.popleft()
                if not self._queue and self._left_out:
                    self._queue.append(self._count())
                self._changed.notify_all()

    def _count(self) -> bytes:
        """The line that says how many are missing; it is made here, since no record may be asked for."""
        left_out, self._left_out = self._left_out, 0
        words = f"{left_out} lines were left out here: nobody read them; p2pnode logs has them"
        record = logging.makeLogRecord(
            {"name": "p2pnode", "msg": words, "levelno": logging.WARNING, "levelname": "WARNING"}
        )
        return f"{self.format(record)}\n".encode()

    def _put(self, line: bytes) -> None:
        try:
            while line:
                line = line[self._write(self._descriptor, line) :]
        except OSError:  # the reader has gone; the log file has the line
            return
