"""However many ids and links others make up, what a node remembers of them and keeps open is bounded."""

import asyncio

import numpy as np
import pytest

from p2pfl.discovery.discovery import Hint
from p2pfl.peer.links import MAX_RETIRED, Links
from p2pfl.peer.targets import MAX_PEERS
from tests.p2pfl.peer.test_links import Bench, FakeTransport, Owner, greet


@pytest.fixture
async def bench() -> Bench:
    transport, owner = FakeTransport(), Owner()
    made = Links("m", transport, owner, rng=np.random.default_rng(0))
    await made.open(lambda: greet("m"))
    return Bench(made, transport, owner)


async def test_members_that_only_rumours_name_are_forgotten_once_they_are_not_wanted(bench: Bench) -> None:
    for i in range(20):  # each time other ones, as somebody might invent
        invented = {f"p{i:02d}-{j:03d}": f"at-{i}-{j}" for j in range(100)}
        bench.links.want(invented, frozenset(invented))
        await asyncio.sleep(0)
        assert len(bench.links._targets) == 100
    bench.links.want({}, frozenset())
    assert bench.links._targets == {}
    bench.links.hint(Hint("at-b", "b"))  # and discovery still finds a place
    bench.links.want({}, frozenset())

    assert list(bench.links._targets) == ["b"]


async def test_of_those_who_were_linked_once_the_last_are_remembered(bench: Bench) -> None:
    for i in range(MAX_PEERS + 20):
        peer = f"p{i:03d}"
        bench.links.want({peer: f"at-{i}"}, frozenset({peer}))
        bench.transport.go_down(bench.transport.come_up(greet(peer, address=f"at-{i}"), dialled=False))
        bench.links._targets[peer].linked_s = float(i)
    bench.links.want({}, frozenset())

    assert len(bench.links._targets) == MAX_PEERS
    assert "p019" not in bench.links._targets
    assert f"p{MAX_PEERS + 19:03d}" in bench.links._targets


async def test_a_peer_that_connects_again_and_again_keeps_few_links(bench: Bench) -> None:
    for _ in range(50):
        bench.transport.come_up(greet("b"), dialled=False).is_idle = False  # it reads nothing of what it got

    open_links = [link for link in bench.transport.links if not link.closed]
    assert len(open_links) == MAX_RETIRED + 1
    assert open_links[-1] is bench.transport.links[-1]
    assert bench.links.connected == {"b"}


async def test_links_in_use_no_more_are_cut_with_their_peer(bench: Bench) -> None:
    first = bench.transport.come_up(greet("b"), dialled=False)
    second = bench.transport.come_up(greet("b"), dialled=False)
    bench.transport.go_down(second)
    assert bench.links.linked == {}
    assert bench.links.connected == {"b"}
    bench.links.cut("b", "not_admitted", "")

    assert first.closed == "not_admitted"
