"""Both halves of the exchange in virtual time: every order of events, and answers that nobody asked for."""

from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.wire.limits import Limits
from p2pfl.wire.offers import ReceivingHalf, SendingHalf
from p2pfl.wire.packets import BUSY, Accept, Offer, Receipt, Reject
from tests.examples import examples

LIMITS = Limits(outbox_messages=50, unanswered_models=3, offer_wait_s=5.0)
OFFER = Offer(1, 1, "model", 1, 28)


def sending(*sequences: int | None, limits: Limits = LIMITS) -> SendingHalf[str]:
    half: SendingHalf[str] = SendingHalf(limits)
    for sequence in sequences:
        half.put(f"item {sequence}", sequence=sequence)
    return half


def leaving(half: SendingHalf[str]) -> str | None:
    parcel = half.next()
    return None if parcel is None else parcel.item


def receiving(*, has_memory: bool = True) -> ReceivingHalf:
    return ReceivingHalf(LIMITS, lambda _offer: has_memory)


def accepted() -> ReceivingHalf:
    half = receiving()
    half.offered(OFFER)
    assert half.decide(None, 0.0) == Accept(1)
    return half


def test_one_offer_is_open_at_a_time_and_what_stands_behind_it_waits() -> None:
    half = sending(1, None, 2)

    assert (leaving(half), leaving(half)) == ("item 1", None)
    assert half.accepted(1) == "item 1"
    assert leaving(half) is None
    half.body_sent()
    assert (leaving(half), leaving(half), leaving(half)) == ("item None", "item 2", None)


def test_a_rejected_offer_makes_room_for_the_next() -> None:
    half = sending(1, 2)
    leaving(half)

    assert half.rejected(Reject(1, "not_trusted")) == "item 1"
    assert leaving(half) == "item 2"


def test_after_busy_the_same_is_offered_again_once_rested() -> None:
    half = sending(1, 2)
    leaving(half)
    half.rejected(Reject(1, BUSY))

    assert half.is_resting
    assert leaving(half) is None
    half.rested()
    assert leaving(half) == "item 1"


def test_what_is_to_be_offered_again_may_be_replaced_meanwhile() -> None:
    half: SendingHalf[str] = SendingHalf(LIMITS)
    half.put("old", sequence=1, replaces="model")
    leaving(half)
    half.put("new", sequence=2, replaces="model")
    half.rejected(Reject(1, BUSY))
    half.rested()

    assert leaving(half) == "new"
    assert half.waiting == 0


def test_missing_receipts_hold_models_back_but_no_words() -> None:
    half = sending(1, 2, 3, 4)
    for number in (1, 2, 3):
        leaving(half)
        half.accepted(number)
        half.body_sent()
    assert leaving(half) is None

    half.receipt(Receipt(2, "not_finite"))
    assert leaving(half) == "item 4"


Hostile = Callable[[SendingHalf[str]], object]


@pytest.mark.parametrize(
    "answer",
    [
        lambda half: half.accepted(2),
        lambda half: half.rejected(Reject(2, "muted")),
        lambda half: half.receipt(Receipt(1, "kept")),
        lambda half: (half.accepted(1), half.accepted(1)),
        lambda half: (half.accepted(1), half.rejected(Reject(1, BUSY))),
        lambda half: (half.accepted(1), half.receipt(Receipt(1, "kept"))),
        lambda half: (
            half.accepted(1),
            half.body_sent(),
            half.receipt(Receipt(1, "kept")),
            half.receipt(Receipt(1, "kept")),
        ),
    ],
)
def test_answers_that_nobody_asked_for_end_the_link(answer: Hostile) -> None:
    half = sending(1)
    leaving(half)

    with pytest.raises(RemoteError) as caught:
        answer(half)
    assert caught.value.code == "unexpected_frame"


def test_an_offer_that_is_not_wanted_is_rejected_with_the_reason() -> None:
    half = receiving()
    half.offered(OFFER)

    assert half.decide(RemoteError("no", code="muted"), 0.0) == Reject(1, "muted", "no")
    assert half.is_idle


def test_an_offer_waits_for_memory_until_its_patience_ends() -> None:
    has_memory = False
    half = ReceivingHalf(LIMITS, lambda _offer: has_memory)
    for until_s, answer in ((4.9, None), (5.0, BUSY)):
        if half.is_idle:
            half.offered(OFFER)
            assert half.decide(None, 0.0) is None
        assert half.patience_s == 5.0
        found = half.retry(until_s)
        assert (found.code if isinstance(found, Reject) else found) == answer
    half.offered(OFFER)
    half.decide(None, 5.0)
    has_memory = True

    assert half.retry(6.0) == Accept(1)


def test_a_body_that_was_not_accepted_and_a_second_offer_end_the_link() -> None:
    with pytest.raises(RemoteError, match="not accepted"):
        receiving().check_body()
    for half in (accepted(), receiving(has_memory=False)):
        if half.is_idle:
            half.offered(OFFER)
            half.decide(None, 0.0)
        with pytest.raises(RemoteError, match="another is open"):
            half.offered(OFFER)
    half = accepted()
    half.arrived()
    with pytest.raises(RemoteError, match="not accepted"):
        half.check_body()


def test_one_receipt_is_given_for_a_body() -> None:
    half = accepted()
    assert not half.settle(1)
    half.arrived()

    assert [half.settle(1), half.settle(1)] == [True, False]


@given(st.lists(st.sampled_from(["take", "refuse", "free", "wait", "settle", "deliver"]), max_size=60))
@examples(300)
def test_whatever_the_order_of_events_bodies_arrive_in_order_and_each_is_settled_once(
    moves: list[str],
) -> None:
    world = _World()
    for move in [*moves, *["free", "deliver", "settle", "wait"] * 80]:
        getattr(world, move)()

    assert world.sender.is_idle
    assert world.arrived == sorted(world.arrived)
    assert sorted(world.arrived + world.refused) == list(range(1, 11))
    assert world.settled == world.arrived


class _World:
    """A sender and a receiver with a queue each way, and memory for one body that comes and goes."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.has_memory = True
        self.objection: RemoteError | None = None
        self.sender = sending(*range(1, 11))
        self.receiver = ReceivingHalf(LIMITS, lambda _offer: self.has_memory)
        self.there: deque[Offer | str] = deque()
        self.back: deque[Accept | Reject | Receipt] = deque()
        self.arrived: list[int] = []
        self.refused: list[int] = []
        self.settled: list[int] = []

    def take(self) -> None:
        self.has_memory = False

    def free(self) -> None:
        self.has_memory = True
        self._answer(self.receiver.retry(self.now_s))

    def refuse(self) -> None:
        self.objection = RemoteError("no", code="muted")

    def wait(self) -> None:
        self.now_s += 1.0
        self._answer(self.receiver.retry(self.now_s))
        self.sender.rested()

    def settle(self) -> None:
        for sequence in self.arrived:
            if self.receiver.settle(sequence):
                self.settled.append(sequence)
                self.back.append(Receipt(sequence, "kept"))
                return

    def deliver(self) -> None:
        """One packet in each direction, and whatever may leave leaves."""
        parcel = self.sender.next()
        if parcel is not None and parcel.sequence is not None:
            self.there.append(Offer(1, parcel.sequence, "model", 1, 28))
        if self.there:
            self._hear(self.there.popleft())
        if self.back:
            self._heed(self.back.popleft())

    def _hear(self, found: Offer | str) -> None:
        if isinstance(found, Offer):
            self.receiver.offered(found)
            objection, self.objection = self.objection, None
            self._answer(self.receiver.decide(objection, self.now_s))
        else:
            self.receiver.check_body()
            self.receiver.arrived()
            self.arrived.append(int(found.removeprefix("item ")))

    def _heed(self, answer: Accept | Reject | Receipt) -> None:
        match answer:
            case Accept(sequence):
                self.there.append(self.sender.accepted(sequence))
                self.sender.body_sent()
            case Reject(sequence, code):
                self.sender.rejected(answer)
                self.refused += [] if code == BUSY else [sequence]
            case Receipt():
                self.sender.receipt(answer)

    def _answer(self, answer: Accept | Reject | None) -> None:
        if answer is not None:
            self.back.append(answer)
