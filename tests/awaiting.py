"""Waiting for other processes: with a deadline, never for a fixed time."""

import time
from collections.abc import Callable

import psutil

DEADLINE_S = 10.0


def until(is_so: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Return once ``is_so()``; fail after ``deadline_s``."""
    end_s = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end_s, f"waited {deadline_s} s in vain"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """No such process, or only its entry is left for a parent that has not asked yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
