import asyncio
import threading
from collections.abc import Callable

import numpy as np

from p2pfl.errors import StateError
from p2pfl.events import Message, Send
from p2pfl.model import Checkpoint, Model, Snapshot
from p2pfl.peer.outgoing import KEPT_UNSTORED, MAX_WAITING, RETRY_S, Outgoing


def checkpoint(round: int) -> Checkpoint:
    return Checkpoint(Model(np.zeros(1, np.float32)), {}, Snapshot(), round)


def send(round: int) -> Send:
    return Send("b", Message("model", round))


class Desk:
    """Records what is sent and stored; the disk can be held, or fail."""

    def __init__(self, retry_s: float = RETRY_S) -> None:
        self.attempts = 0
        self.log: list[str] = []
        self.degraded: list[StateError | None] = []
        self.disk_is_free = threading.Event()
        self.disk_is_free.set()
        self.error: StateError | None = None
        self.outgoing = Outgoing(self._send, self._store, self.degraded.append, retry_s=retry_s)

    def _send(self, effect: Send) -> None:
        self.log.append(f"send {effect.message.round}")

    def _store(self, item: Checkpoint) -> None:
        assert self.disk_is_free.wait(5)
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.log.append(f"store {item.round}")


async def soon(is_so: Callable[[], bool]) -> None:
    for _ in range(1_000_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("never")


async def test_without_a_checkpoint_a_message_leaves_at_once() -> None:
    desk = Desk()

    desk.outgoing.put(send(1))

    assert desk.log == ["send 1"]


async def test_a_message_waits_until_the_checkpoint_before_it_is_on_disk() -> None:
    desk = Desk()
    desk.disk_is_free.clear()

    desk.outgoing.put(send(0))
    desk.outgoing.put(checkpoint(1))
    desk.outgoing.put(send(1))
    await asyncio.sleep(0)
    assert desk.log == ["send 0"]
    desk.disk_is_free.set()
    await desk.outgoing.flush()

    assert desk.log == ["send 0", "store 1", "send 1"]


async def test_of_two_checkpoints_with_nothing_between_only_the_newer_is_written() -> None:
    desk = Desk()
    desk.disk_is_free.clear()
    desk.outgoing.put(checkpoint(1))
    await asyncio.sleep(0)
    for item in (checkpoint(2), checkpoint(3), send(3)):
        desk.outgoing.put(item)
    desk.disk_is_free.set()
    await desk.outgoing.flush()

    assert desk.log == ["store 1", "store 3", "send 3"]


async def test_an_action_waits_for_the_disk_like_a_message() -> None:
    desk = Desk()
    desk.outgoing.put(lambda: desk.log.append("act 0"))
    desk.disk_is_free.clear()
    desk.outgoing.put(checkpoint(1))
    desk.outgoing.put(lambda: desk.log.append("act 1"))
    await asyncio.sleep(0)
    assert desk.log == ["act 0"]
    desk.disk_is_free.set()
    await desk.outgoing.flush()

    assert desk.log == ["act 0", "store 1", "act 1"]


async def test_what_is_not_stored_is_not_announced_until_a_later_checkpoint_is() -> None:
    desk = Desk()
    desk.outgoing.put(send(0))
    desk.error = StateError("disk full")
    desk.outgoing.put(checkpoint(1))
    desk.outgoing.put(send(1))
    desk.outgoing.put(lambda: desk.log.append("act 1"))
    await desk.outgoing.flush()
    desk.outgoing.put(send(2))
    assert desk.log == ["send 0", "act 1"]
    desk.error = None
    desk.outgoing.put(checkpoint(2))
    desk.outgoing.put(send(3))
    await desk.outgoing.flush()

    assert desk.log == ["send 0", "act 1", "store 2", "send 1", "send 2", "send 3"]
    assert [str(error) for error in desk.degraded] == ["disk full", "None"]


async def test_while_the_disk_fails_only_the_newest_messages_are_kept() -> None:
    desk = Desk()
    desk.error = StateError("disk full")
    for number in range(1, 6):
        desk.outgoing.put(checkpoint(number))
        await desk.outgoing.flush()
        desk.outgoing.put(send(number))
    desk.error = None
    desk.outgoing.put(checkpoint(6))
    await desk.outgoing.flush()

    assert desk.log == ["store 6", *(f"send {number}" for number in range(6 - KEPT_UNSTORED, 6))]
    assert len(desk.degraded) == 6


async def test_a_node_that_waits_for_others_tries_its_last_checkpoint_again_by_itself() -> None:
    desk = Desk(retry_s=0.0)
    desk.error = StateError("disk full")
    desk.outgoing.put(checkpoint(1))
    desk.outgoing.put(send(1))
    await soon(lambda: desk.attempts >= 4)
    assert len(desk.degraded) == 1  # said once of each checkpoint
    desk.error = None
    await soon(lambda: "send 1" in desk.log)

    assert desk.log == ["store 1", "send 1"]
    assert desk.degraded[-1] is None


async def test_the_end_does_not_wait_for_a_disk_that_fails() -> None:
    desk = Desk(retry_s=0.0)
    desk.error = StateError("disk full")
    desk.outgoing.put(checkpoint(1))

    await desk.outgoing.flush()
    tried = desk.attempts
    for _ in range(10):
        await asyncio.sleep(0)

    assert desk.attempts == tried


async def test_what_waits_for_the_disk_is_bounded_and_never_loses_the_checkpoint() -> None:
    desk = Desk()
    desk.disk_is_free.clear()
    desk.outgoing.put(checkpoint(1))
    await asyncio.sleep(0)
    desk.outgoing.put(checkpoint(2))
    for number in range(2 * MAX_WAITING):
        desk.outgoing.put(send(number))
    desk.disk_is_free.set()
    await desk.outgoing.flush()

    assert len(desk.log) <= MAX_WAITING + 2
    assert "store 2" in desk.log
    assert desk.log[-1] == f"send {2 * MAX_WAITING - 1}"
