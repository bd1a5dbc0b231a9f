"""Rates in virtual time: what passes, what waits, and that no clock can be played against them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope
from p2pfl.wire.rates import TokenBucket
from p2pfl.wire.throttle import MAX_TOLD, Throttle
from p2pfl.wire.traffic import Traffic
from tests.p2pfl.wire.samples import envelope, note

times = st.lists(st.floats(0, 100), max_size=60).map(sorted)
LAN, HERE = "tcp://192.168.1.7:40000", "tcp://127.0.0.1:40000"


@given(times, st.floats(0.1, 20), st.integers(1, 10))
def test_no_window_sees_more_than_burst_and_rate_allow(
    moments: list[float], per_s: float, burst: int
) -> None:
    bucket = TokenBucket(per_s, burst)
    passed = [now_s for now_s in moments if bucket.take(now_s)]

    for first, begin_s in enumerate(passed):
        for last, end_s in enumerate(passed[first:], first):
            assert last - first + 1 <= burst + per_s * (end_s - begin_s) + 1e-6


@given(times, st.floats(0.1, 20), st.integers(1, 10))
def test_delayed_things_happen_in_order_and_no_faster_than_the_rate(
    moments: list[float], per_s: float, burst: int
) -> None:
    bucket = TokenBucket(per_s, burst)
    done = [now_s + bucket.delay_s(now_s) for now_s in moments]

    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(done))
    for first, begin_s in enumerate(done):
        for last, end_s in enumerate(done[first:], first):
            assert last - first + 1 <= burst + per_s * (end_s - begin_s) + 1 + 1e-6


def test_who_keeps_to_the_rate_never_waits_and_a_clock_that_runs_backwards_gives_nothing() -> None:
    bucket = TokenBucket(10, 1)
    assert all(bucket.take(number * 0.11) for number in range(1000))

    assert not bucket.take(0.0)
    assert not bucket.take(109.9)
    assert bucket.take(110.0)


def test_a_flood_of_signs_of_life_ends_the_link_and_an_honest_peer_never_trips() -> None:
    beat = Heartbeat(1, b"")
    honest = Traffic(Limits(), LAN, 0.0)
    for number in range(20 * 600):
        honest.note(beat, number * 0.05)  # the fastest there is, for ten minutes
    for _ in range(20 * 40):
        honest.note(beat, 640.0)  # what has gathered in 40 s of sleep

    flooder = Traffic(Limits(), LAN, 0.0)
    for _ in range(1000):
        flooder.note(note(1), 0.0)
    with pytest.raises(RemoteError, match="too many") as caught:
        flooder.note(note(1), 0.0)
    assert caught.value.code == "too_fast"


def test_models_are_no_control_frames_and_count_as_a_request() -> None:
    traffic = Traffic(Limits(control_frames_burst=1), LAN, 0.0)
    for _ in range(100):
        traffic.note(envelope(), 3.0)

    assert traffic.asked_s == 3.0
    traffic.note(Heartbeat(1, b""), 4.0)
    assert traffic.asked_s == 3.0


def test_offers_are_delayed_above_the_rate_and_far_later_on_this_machine() -> None:
    far, near = Traffic(Limits(), LAN, 0.0), Traffic(Limits(), HERE, 0.0)

    assert [far.offer_delay_s(0.0) for _ in range(22)][19:] == pytest.approx([0.0, 0.1, 0.2])
    assert [near.offer_delay_s(0.0) for _ in range(320)] == [0.0] * 320


def test_a_message_with_arrays_but_no_model_is_no_control_frame() -> None:
    traffic = Traffic(Limits(control_frames_burst=1), LAN, 0.0)
    body = envelope().message.model
    assert body is not None
    for _ in range(3):
        traffic.note(Envelope(Message("codes", 1, body=(body.params,)), b""), 0.0)


def test_of_many_alike_events_one_in_a_period_is_told_of_with_their_number() -> None:
    throttle = Throttle(60.0)

    assert [throttle.note("crowded", "a", now_s) for now_s in (0.0, 1.0, 59.0, 60.0, 61.0)] == [1, 0, 0, 3, 0]
    assert throttle.counts == {"crowded": 5}


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 500), st.floats(0, 59)), max_size=300))
def test_however_many_different_events_there_are_few_are_told_and_all_are_counted(
    events: list[tuple[str, int, float]],
) -> None:
    throttle = Throttle(60.0)
    told = [throttle.note(word, str(who), now_s) for word, who, now_s in sorted(events, key=lambda e: e[2])]

    assert sum(map(bool, told)) <= MAX_TOLD + 3
    assert sum(throttle.counts.values()) == len(events)
