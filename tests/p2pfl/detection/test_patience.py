import pytest

from p2pfl.detection.patience import LAG_S, MAX_STRETCH, Slowness, retransmits, suspicion_stretch


@pytest.mark.parametrize(("members", "stretch"), [(5, 1), (50, 1.698), (100, 2), (500, 2.698), (1000, 3)])
def test_a_suspicion_lasts_as_long_as_memberlists(members: int, stretch: float) -> None:
    assert suspicion_stretch(members) == pytest.approx(stretch, abs=1e-3)  # memberlist's m * this * interval


@pytest.mark.parametrize(("members", "times"), [(0, 0), (1, 3), (99, 6)])
def test_a_rumour_is_repeated_as_often_as_memberlists(members: int, times: int) -> None:
    assert retransmits(members, 3) == times


def test_own_slowness_stretches_patience_at_most_eight_times_and_wears_off_by_heartbeats() -> None:
    slowness = Slowness()
    slowness.note(LAG_S / 2, 1.0, heartbeat_s=1.0)
    assert slowness.stretch == 1

    slowness.note(1.5 * LAG_S, 2.0, heartbeat_s=1.0)
    assert slowness.stretch == pytest.approx(2.5)
    slowness.note(60.0, 62.0, heartbeat_s=1.0)
    assert slowness.stretch == MAX_STRETCH == 8

    slowness.note(0.0, 65.0, heartbeat_s=1.0)
    assert slowness.stretch == pytest.approx(5)
    slowness.note(0.0, 90.0, heartbeat_s=1.0)
    assert slowness.stretch == 1
