"""Trust that changes while links are up: what is cut, what is refused, and who is told."""

import asyncio

import pytest

from p2pfl.peer import links as links_module
from p2pfl.peer.neighbours import REFUSED_EVERY_S
from p2pfl.trust import Trust
from tests.p2pfl.peer.crowd import Crowd, Member

ALL = frozenset("abc")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that are cut are there again at once."""
    for name in ("FIRST_RETRY_S", "YIELD_S"):
        monkeypatch.setattr(links_module, name, 0.05)


async def running(rounds: int = 2000) -> tuple[Member, Member, Member]:
    crowd = Crowd(topology="full_mesh", rounds=rounds, members=3)
    a, b, c = (crowd.member(name, number) for number, name in enumerate("abc"))
    for member in (a, b, c):
        member.start()
    for member in (a, b, c):
        await member.until("round.done", 3)
    return a, b, c


def merged(member: Member, after: int) -> set[str]:
    return {each for facts in member.facts("round.done")[after:] for each in facts["merged"]}  # type: ignore[attr-defined]


async def stop(*members: Member) -> None:
    for member in members:
        await member.stop()


async def test_a_peer_that_is_still_admitted_is_cut_linked_again_and_its_models_cost_nothing() -> None:
    a, b, c = await running()

    a.peer.change_trust(Trust(accept_from=ALL - {"b"}))
    at = len(a.facts("round.done"))
    assert [facts["reason"] for facts in a.facts("peer.down")] == ["trust_changed"]
    await a.until("peer.up", 3)
    await a.until("round.done", at + 20)
    await b.until("peer.refused")
    received = {row.id: row.models_received for row in a.peer.peers()}
    await b.until("round.done", len(b.facts("round.done")) + 10)

    assert b.facts("peer.down")[0]["reason"] == "trust_changed"
    assert "b" not in merged(a, at + 1)
    assert "a" in merged(b, -5)  # the other direction is as it was
    assert {row.id: row.models_received for row in a.peer.peers()}["b"] == received["b"]
    refused = b.facts("peer.refused")
    assert [(facts["peer"], facts["code"]) for facts in refused] == [("a", "not_trusted")]  # once in 60 s
    row = next(row for row in b.peer.peers() if row.id == "a")
    assert row.refused_there > 1
    assert row.reasons == {"not_trusted": row.refused_there}
    row = next(row for row in a.peer.peers() if row.id == "b")
    assert row.refused == row.reasons["not_trusted"] > 1
    await stop(a, b, c)


async def test_a_peer_that_may_no_longer_have_the_model_is_offered_none() -> None:
    a, b, c = await running()

    a.peer.change_trust(Trust(share_with=ALL - {"b"}))
    at = len(b.facts("round.done"))
    await a.until("peer.up", 3)
    await b.until("round.done", at + 20)

    assert "a" not in merged(b, at + 1)
    assert b.facts("peer.refused") == []
    await stop(a, b, c)


async def test_a_peer_that_is_on_no_list_any_more_is_cut_with_another_word() -> None:
    a, b, c = await running()

    a.peer.change_trust(Trust(accept_from=frozenset("c"), share_with=frozenset("c")))

    assert [facts["reason"] for facts in a.facts("peer.down")] == ["not_admitted"]
    await b.until("peer.down")
    assert str(b.facts("peer.down")[0]["reason"]).startswith("not_admitted")
    await stop(a, b, c)


async def test_lists_that_say_the_same_of_everybody_here_cut_nobody() -> None:
    a, b, c = await running()

    a.peer.change_trust(Trust(accept_from=ALL | {"z"}, share_with=ALL))
    await asyncio.sleep(0)

    assert a.facts("peer.down") == []
    await stop(a, b, c)


async def test_the_same_refusal_is_said_again_after_a_minute() -> None:
    a = Crowd(members=1, rounds=1).member("a", 0)
    a.start()
    await a.until("run.finished")
    neighbours = a.peer._neighbours
    for _ in range(3):
        neighbours.note_refused("b", "duplicate")
    neighbours.note_refused("b", "not_trusted")
    neighbours._said["b", "duplicate"] -= REFUSED_EVERY_S
    neighbours.note_refused("b", "duplicate")

    codes = [facts["code"] for facts in a.facts("peer.refused")]
    assert codes == ["duplicate", "not_trusted", "duplicate"]
    await a.stop()
