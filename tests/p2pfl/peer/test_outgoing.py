import asyncio
import threading

import numpy as np

from p2pfl.errors import StateError
from p2pfl.events import Message, Send
from p2pfl.model import Checkpoint, Model, Snapshot
from p2pfl.peer.outgoing import MAX_WAITING, Outgoing


def checkpoint(round: int) -> Checkpoint:
    return Checkpoint(Model(np.zeros(1, np.float32)), {}, Snapshot(), round)


def send(round: int) -> Send:
    return Send("b", Message("model", round))


class Desk:
    """Records what is sent and stored; the disk can be held, or fail."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.degraded: list[StateError | None] = []
        self.disk_is_free = threading.Event()
        self.disk_is_free.set()
        self.error: StateError | None = None
        self.outgoing = Outgoing(self._send, self._store, self.degraded.append)

    def _send(self, effect: Send) -> None:
        self.log.append(f"send {effect.message.round}")

    def _store(self, item: Checkpoint) -> None:
        assert self.disk_is_free.wait(5)
        if self.error is not None:
            raise self.error
        self.log.append(f"store {item.round}")


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


async def test_a_full_disk_degrades_and_recovers_and_messages_leave_all_the_same() -> None:
    desk = Desk()
    desk.error = StateError("disk full")
    desk.outgoing.put(checkpoint(1))
    desk.outgoing.put(send(1))
    await desk.outgoing.flush()
    desk.error = None
    desk.outgoing.put(checkpoint(2))
    await desk.outgoing.flush()

    assert desk.log == ["send 1", "store 2"]
    assert [str(error) for error in desk.degraded] == ["disk full", "None"]


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
