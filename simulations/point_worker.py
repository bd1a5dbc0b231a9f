"""A process that does jobs of a sweep, one after the other: ``python -m simulations.point_worker FD``.

Each request and each answer is JSON, on the connection whose file descriptor it is told.  It ends with its
connection, and with whoever holds the other end of its standard input, at once also while it trains.
A mistake in the code of an experiment ends it, with a traceback; whoever waits sees that.
"""

import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from types import FrameType

from simulations.point_jobs import do

TERMINATED = 128 + signal.SIGTERM
GRACE_S = 10.0  # for the end of real daemons


def main() -> None:
    """Serve until the other end is closed."""
    channel: Connection = Connection(int(sys.argv[1]))
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            request = json.loads(channel.recv_bytes())
        except EOFError:
            return
        folder = request["folder"]
        answer = do(request["table"], None if folder is None else Path(folder))
        channel.send_bytes(json.dumps(answer.table()).encode())


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise SystemExit(TERMINATED)


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing ever comes: the parent is gone
    os.kill(os.getpid(), signal.SIGTERM)
    Event().wait(GRACE_S)
    os._exit(TERMINATED)


if __name__ == "__main__":
    main()
