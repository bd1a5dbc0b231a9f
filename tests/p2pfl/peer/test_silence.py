from p2pfl.peer.silence import Silence
from p2pfl.wire.limits import Limits


def the_limits() -> Limits:
    return Limits(link_ping_s=15.0, link_dead_s=45.0)


def course(counts: list[int], *, step_s: float = 5.0) -> list[str]:
    """What is decided about one link at each look, ``step_s`` apart, with so much arrived by then."""
    silence = Silence(the_limits)
    words = []
    for number, count in enumerate(counts):
        asked, dead = silence.look({"a": count}, number * step_s)
        words.append("dead" if dead else "asked" if asked else "")
    return words


def test_a_silent_link_is_asked_after_15_s_and_dead_after_45_s() -> None:
    assert Silence(the_limits).period_s == 5.0
    assert course([7] * 11) == ["", "", "", *["asked"] * 6, "dead", "dead"]


def test_whatever_arrives_ends_the_silence() -> None:
    assert course([7, 7, 7, 7, 8, 8, 8, 8]) == ["", "", "", "asked", "", "", "", "asked"]


def test_time_in_which_this_node_stood_still_does_not_count() -> None:
    assert course([7, 7, 7], step_s=3600.0) == ["", "", "asked"]


def test_a_new_link_begins_anew() -> None:
    silence = Silence(the_limits)
    for number in range(8):
        silence.look({"a": 7}, number * 5.0)
    silence.look({}, 40.0)  # it is down, or waits for memory of ours

    assert silence.look({"a": 7}, 45.0) == ([], [])
    assert silence.look({"a": 7}, 50.0) == ([], [])
