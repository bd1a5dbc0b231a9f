from itertools import count
from math import inf, nan

import pytest

from p2pfl.errors import ConfigError
from p2pfl.protocols.patience import (
    ANYBODY,
    FLOOR_S,
    LEAST_KNOWN,
    MARGIN,
    WINDOW,
    Patience,
    median_and_spread,
)

BOUND_S = 30.0


def after(lags: list[float], *, deviations: float = 6.0, bound_s: float = BOUND_S) -> Patience:
    """What is left when ``b`` had these lags in rounds of 100 s, at the beginning of the next round."""
    patience = Patience(bound_s, deviations)
    for step, lag in enumerate([*lags, 0.0]):
        patience.now_s = 100.0 * step
        patience.begin(step)
        if step < len(lags):
            patience.now_s += lag
            patience.hear("b", step)
    return patience


def test_the_spread_is_that_of_a_normal_distribution_and_does_not_mind_outliers() -> None:
    assert median_and_spread([1.0, 2.0, 3.0, 4.0, 100.0]) == pytest.approx((3.0, 1.4826))
    assert median_and_spread([5.0]) == (5.0, 0.0)


def test_who_is_not_known_gets_the_whole_bound_and_who_is_known_what_it_usually_takes() -> None:
    for known in range(LEAST_KNOWN):
        assert after([2.0] * known).rest_s({"b"}) == BOUND_S
    assert after([2.0] * LEAST_KNOWN).rest_s({"b"}) == 4.0
    assert after([0.005] * WINDOW).rest_s({"b"}) == pytest.approx(0.005 + FLOOR_S)
    assert after([20.0] * WINDOW).rest_s({"b"}) == BOUND_S
    assert after([2.0] * WINDOW, deviations=inf).rest_s({"b"}) == BOUND_S
    assert after([2.0] * WINDOW, bound_s=0.0).rest_s({"b"}) == inf


def test_jitter_widens_the_wait_by_the_deviations() -> None:
    lags = [2.0, 3.0] * (WINDOW // 2)
    assert after(lags).rest_s({"b"}) == pytest.approx(2.5 + 6 * 1.4826 * 0.5)
    assert after(lags, deviations=10.0).rest_s({"b"}) == pytest.approx(2.5 + 10 * 1.4826 * 0.5)


def test_who_was_late_once_gets_so_much_and_a_half_the_first_time_it_is_silent() -> None:
    patience = after([1.0] * 8 + [9.0] + [1.0] * 4)
    assert patience.rest_s({"b"}) == MARGIN * 9.0
    patience.leave_out({"b"})
    patience.begin(14)
    assert patience.rest_s({"b"}) == pytest.approx(1.0)  # half of two


def test_each_silent_round_halves_the_wait_and_any_word_sets_it_back() -> None:
    patience, waits = after([1.0] * WINDOW), []
    for step in range(WINDOW + 1, WINDOW + 20):
        waits.append(patience.rest_s({"b"}))
        patience.now_s += waits[-1]
        patience.leave_out({"b"})
        patience.begin(step)
    assert waits[:4] == pytest.approx([2.0, 1.0, 0.5, 0.25])
    assert sum(waits) < 4.0

    patience.hear("b", 3)  # an old round will do
    assert patience.rest_s({"b"}) >= 2.0


def test_own_lateness_does_not_count_against_others() -> None:
    patience = after([1.0] * WINDOW)
    patience.now_s += 50.0  # this node trained, or was suspended, for so long
    patience.ready()
    assert patience.rest_s({"b"}) == FLOOR_S


def test_the_wait_ends_when_the_last_of_those_who_are_not_overdue_has_come() -> None:
    patience = Patience(BOUND_S, 6.0)
    for step in range(WINDOW):
        patience.now_s = 100.0 * step
        patience.begin(step)
        for sender, lag in (("b", 1.0), ("c", 10.0)):
            patience.now_s = 100.0 * step + lag
            patience.hear(sender, step)
    patience.now_s = begun_s = 100.0 * WINDOW
    patience.begin(WINDOW)
    assert patience.rest_s({"b", "c"}) == 20.0
    patience.now_s = begun_s + 10.0
    patience.hear("c", WINDOW)
    assert patience.rest_s({"b"}) == 0.0


def test_who_leaves_is_forgotten_and_nothing_grows() -> None:
    patience = Patience(BOUND_S, 6.0)
    for step in range(300):
        patience.now_s = float(step)
        patience.begin(step)
        patience.hear(f"{step % 3}", step)
        patience.late[f"{step % 3}"] += 1
        patience.leave_out({f"{step}", ANYBODY})
        patience.keep_only({"0"})
        patience.timer("wait", {"0"})
    tables = [value for value in vars(patience).values() if hasattr(value, "__len__")]
    assert max(map(len, tables)) <= WINDOW
    assert patience.late == {"0": 100}


def test_a_repeated_or_overtaken_word_is_no_second_lag() -> None:
    patience = after([1.0] * WINDOW)
    for step in count(WINDOW - 3):
        if step == WINDOW:
            break
        patience.now_s += 20.0
        patience.hear("b", step)
    patience.begin(WINDOW + 1)
    assert patience.rest_s({"b"}) == 2.0


@pytest.mark.parametrize(("bound_s", "deviations"), [(-1.0, 6.0), (nan, 6.0), (30.0, -1.0), (30.0, nan)])
def test_what_is_no_waiting_time_is_refused(bound_s: float, deviations: float) -> None:
    with pytest.raises(ConfigError, match=r"round_timeout_s|patience_deviations"):
        Patience(bound_s, deviations)
