"""What torch keeps for the whole process - generators, threads, algorithms - set for a while and put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
import torch

_TURN = Lock()  # torch has one generator for the whole process, so there is one lock for it


@contextmanager
def drawing(random: np.random.Generator, *, device: torch.device) -> Iterator[None]:
    """Inside, torch's generators (initial values, dropout) follow ``random``; then all is as before.

    Threads take turns.
    """
    devices = [device] if device.type == "cuda" else []
    with _TURN, torch.random.fork_rng(devices=devices):
        seed = int(random.integers(2**63))
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield


@contextmanager
def one_thread(*, is_deterministic: bool = False) -> Iterator[None]:
    """Inside, one thread, and torch's deterministic algorithms if asked for; then all is as before.

    A node's model is small and its machine is shared: threads that wait for each other cost more than they
    bring (several times more on a busy machine).
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    if is_deterministic:
        torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)
