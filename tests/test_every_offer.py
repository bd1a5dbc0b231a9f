"""What becomes of a model that is offered, on every registered transport and event loop."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from p2pfl.errors import RemoteError
from p2pfl.membership import Heartbeat
from p2pfl.wire.limits import Limits
from tests.p2pfl.transports.ends import World, world_of
from tests.p2pfl.wire.samples import envelope, note
from tests.test_every_transport import LARGE, WORLDS


@pytest.fixture(params=[(kind, loop) for kind, loops in WORLDS.items() for loop in loops], ids="-".join)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, loop = request.param
    with world_of(kind, loop) as found:
        yield found


@pytest.mark.parametrize("code", ["not_trusted", "muted", "duplicate"])
def test_a_model_that_is_not_wanted_costs_no_bytes_and_its_sender_is_told_why(
    world: World, code: str
) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        bert.objections[1] = RemoteError("in words", code=code)
        before = bert.link.bytes_received
        anna.link.send(envelope(1, parameters=LARGE))
        await anna.until(lambda: anna.refusals == [(code, "in words")])
        anna.link.send(note(2))

        assert (await bert.message()).message.round == 2
        assert [(offer.round, offer.size_bytes) for offer in bert.offers] == [(1, 4 * LARGE)]
        assert bert.link.bytes_received - before < 300
        assert anna.unsent == [1]
        assert anna.link.is_idle

    world.run(story)


def test_a_model_that_was_not_kept_is_told_to_its_sender(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        bert.verdicts[1] = "not_finite"
        anna.link.send(envelope(1))
        anna.link.send(envelope(2))
        await anna.until(lambda: bool(anna.refusals))

        assert [(await bert.message()).message.round for _ in range(2)] == [1, 2]
        assert (anna.refusals, anna.unsent) == ([("not_finite", "")], [])

    world.run(story)


def test_models_wait_while_too_many_receipts_are_missing_and_words_do_not(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(limits=Limits(unanswered_models=2))
        bert.settles = False
        for number in range(3):
            anna.link.send(envelope(number))
        kept = [await bert.message(), await bert.message()]
        anna.link.send(Heartbeat(1, b""))
        assert await bert.packet() == Heartbeat(1, b"")
        assert len(bert.offers) == 2
        bert.link.settle(kept[0].sequence, "kept")

        assert (await bert.message()).message.round == 2

    world.run(story)


def test_whether_a_model_may_leave_is_asked_when_it_is_offered_not_when_it_is_put(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair(parameters=LARGE)
        for number in (1, 2, 3):
            anna.link.send(envelope(number, parameters=LARGE))
        anna.withheld.add(2)

        assert [(await bert.message()).message.round for _ in range(2)] == [1, 3]
        assert [offer.round for offer in bert.offers] == [1, 3]

    world.run(story)


def test_start_and_sequence_come_with_the_offer_and_with_the_message(world: World) -> None:
    async def story() -> None:
        anna, bert = await world.pair()
        anna.link.send(replace(envelope(1), start=7, sequence=2**40))
        found = await bert.message()

        assert (bert.offers[0].start, bert.offers[0].sequence) == (7, 2**40)
        assert (found.start, found.sequence) == (7, 2**40)

    world.run(story)
