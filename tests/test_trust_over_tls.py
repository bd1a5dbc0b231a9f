"""Lists that change while links are up, or half up, over TLS: what each side then knows of the other."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from p2pfl.errors import RemoteError
from p2pfl.peer import links as links_module
from p2pfl.peer.status import PeerRow
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tcp_link import TcpLink
from p2pfl.transports.tcp_surroundings import Stage
from p2pfl.trust import Trust
from tests import test_one_way_peers
from tests.p2pfl.identities import NOBODY, ids, someone
from tests.p2pfl.transports.ends import World, world_of

ANNA, BERT = someone("anna").id, someone("bert").id
DEADLINE_S = 20.0


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("tls", "asyncio") as found:
        yield found


def edges(network: test_one_way_peers.Network, me: str, other: str) -> tuple[bool, ...]:
    """(sends, receives, is accepted there, is shared with there) as this node sees it."""
    row: PeerRow | None = next((row for row in network.peers[me].peers() if row.id == other), None)
    if row is None or row.accepts_us is None or row.shares_with_us is None:
        return ()
    return row.sends_to, row.receives_from, row.accepts_us, row.shares_with_us


async def test_after_a_change_the_greeting_brings_the_new_words_and_both_sides_change_their_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_RETRY_S", "YIELD_S"):
        monkeypatch.setattr(links_module, name, 0.05)
    monkeypatch.setattr(
        test_one_way_peers, "random_lists", lambda _: Trust(ids("anna", "bert"), ids("anna", "bert"))
    )
    network = test_one_way_peers.Network(1, tmp_path)
    assert network.is_graph  # trust is
    for name in ("cleo", "dora", "emil"):
        del network.peers[someone(name).id]
    tasks = [asyncio.create_task(peer.run()) for peer in network.peers.values()]
    news = network.logs[ANNA].news

    async def until(anna: tuple[bool, ...], bert: tuple[bool, ...]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while (edges(network, ANNA, BERT), edges(network, BERT, ANNA)) != (anna, bert):
                news.clear()
                await news.wait()

    try:
        await until((True, True, True, True), (True, True, True, True))
        network.peers[ANNA].change_trust(Trust(NOBODY, ids("bert")))
        await until((True, False, True, True), (False, True, False, True))
        down = [facts["reason"] for event, facts in network.logs[BERT].reports if event == "peer.down"]
        assert any("trust_changed" in str(reason) for reason in down)
        network.peers[ANNA].change_trust(Trust(ids("bert"), NOBODY))
        await until((False, True, True, True), (True, False, True, False))
        network.peers[ANNA].change_trust(Trust(ids("bert"), ids("bert")))
        await until((True, True, True, True), (True, True, True, True))
    finally:
        for peer in network.peers.values():
            peer.stop()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("trust", "code"),
    [(Trust(NOBODY, NOBODY), "not_admitted"), (Trust(ids("anna"), NOBODY), "trust_changed")],
    ids=["ended", "changed"],
)
@pytest.mark.parametrize("dialled", [True, False])
def test_lists_that_change_within_the_handshake_leave_no_link_of_the_old_ones(
    world: World, monkeypatch: pytest.MonkeyPatch, trust: Trust, code: str, dialled: bool
) -> None:
    both = {
        name: world.files.security(name, trust=Trust(ids("anna", "bert"), ids("anna", "bert")))
        for name in ("anna", "bert")
    }
    tell = TcpTransport._told

    def told(transport: TcpTransport, link: TcpLink, stage: Stage) -> None:
        tell(transport, link, stage)
        if stage is Stage.PROVED and transport._security is both["bert"]:
            both["bert"].admission.change(trust)

    async def story() -> None:
        monkeypatch.setattr(TcpTransport, "_told", told)
        anna, bert = [await world.end(name, security=both[name]) for name in ("anna", "bert")]
        here, there = (bert, anna) if dialled else (anna, bert)
        with suppress(RemoteError):  # whoever was let in sees the link up first, and then its end
            await here.transport.dial(there.address)
        await bert.until(lambda: bool(bert.denied))
        assert bert.links == []
        assert [found for found, _ in bert.denied] == [code]
        if anna.links:
            await anna.down()

    world.run(story)
