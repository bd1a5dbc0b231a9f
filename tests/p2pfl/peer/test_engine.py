"""New lists come before models that have arrived and wait for a busy node."""

import asyncio
import threading
from typing import cast

import pytest

from p2pfl.events import Message, Received
from p2pfl.node import Node, NodeEffect, NodeInput
from p2pfl.peer.engine import Engine
from p2pfl.peer.faults import Faults
from p2pfl.trust import Trust, TrustChanged


class BusyNode:
    """Handles one event, and the next when it may."""

    def __init__(self) -> None:
        self.seen: list[NodeInput] = []
        self.may_go_on = threading.Event()

    def handle(self, event: NodeInput, _now_s: float) -> list[NodeEffect]:
        self.seen.append(event)
        assert self.may_go_on.wait(10)
        return []


@pytest.mark.parametrize("changes", [1, 2])
async def test_lists_that_change_overtake_what_waits_and_the_newest_are_in_force(changes: int) -> None:
    node = BusyNode()
    done = asyncio.Event()
    engine = Engine(
        cast(Node, node),
        lambda _effect: None,
        lambda: done.set() if len(node.seen) == 4 else None,
        faults=Faults(lambda *_: None, lambda *_: None, lambda _: None),
        is_offloaded=True,
    )
    models = [Received("b", Message("model", number)) for number in range(3)]
    for model in models:
        engine.put(model)
    lists = [TrustChanged(Trust(accept_from=frozenset(str(number)))) for number in range(changes)]
    for each in lists:
        engine.put_first(each)
    await asyncio.sleep(0)
    node.may_go_on.set()
    await asyncio.wait_for(done.wait(), 10)
    await engine.close()

    waiting = [each for each in node.seen if isinstance(each, Received)]
    assert waiting == models
    assert node.seen.index(lists[-1]) <= 1
    assert sum(isinstance(each, TrustChanged) for each in node.seen) == 1
