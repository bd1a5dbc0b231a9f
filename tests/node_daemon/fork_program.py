"""A fork server whose daemons do what the name of their home says; run by ``test_forking.py``."""

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

import psutil

from node_daemon.forking import PR_SET_PDEATHSIG, ForkServer
from p2pfl.errors import ConfigError, StateError


def run(home: Path) -> int:
    sys.stdout.write(f"running {home.name}\n")
    if "orphan" in home.name:  # as on a system that cannot kill the children of a killed parent
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)
    if "gated" in home.name:
        siblings = " ".join(str(child.pid) for child in psutil.Process(os.getppid()).children())
        (home / "siblings.part").write_text(siblings, "utf-8")
        (home / "siblings.part").rename(home / "siblings")
    match home.name:
        case "seven":
            return 7
        case "wrong_config":
            raise ConfigError("unknown topology 'rign'", fix="did you mean ring?")
        case "bug":
            raise ZeroDivisionError("a bug")
        case "stubborn" | "stubborn_orphan":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (home / "ready").touch()
    while True:
        signal.pause()


def prepare(home: Path) -> None:
    (home / "prepared").touch()
    if home.name == "wrong_config":
        raise StateError("the data cannot be read")
    if home.name == "threaded":
        threading.Thread(target=threading.Event().wait, daemon=True).start()


if __name__ == "__main__":
    server = ForkServer(
        run, prepare, commands=sys.stdin.fileno(), reports=sys.stdout, grace_s=float(sys.argv[1])
    )
    sys.exit(server.serve())
