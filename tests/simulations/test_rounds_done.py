"""Figures of rounds are those of the nodes that keep up."""

from simulations.result_rows import RoundFigures
from simulations.rounds_done import RoundsDone


def times(nodes: int, *done: tuple[int, float]) -> list[tuple[int, float | None]]:
    """(round, time) of the rows after these notes."""
    rounds = RoundsDone(nodes)
    for number, at in done:
        rounds.note(RoundFigures(number, at, 0.0, None))
    return [(row.round, row.time_s) for row in rounds.rows()]


def test_a_round_is_that_of_the_last_of_nodes_that_are_a_round_apart() -> None:
    assert times(3, (1, 1), (1, 2), (2, 3), (1, 4), (2, 5), (2, 6)) == [(1, 4), (2, 6)]


def test_who_comes_late_does_rounds_unseen_until_the_others_are_reached() -> None:
    together = [(done, done + node / 4) for done in (1, 2, 3) for node in range(3)]
    late = [(done, 10.0 + done) for done in (1, 2, 3)]
    assert times(4, *together, *late) == [(1, 1.5), (2, 2.5), (3, 13.0)]


def test_rows_never_go_back_in_time() -> None:
    few = [(1, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]  # of ten nodes: no round is over
    assert times(10, *few, (1, 9.0)) == [(1, 2.0), (2, 3.0), (3, 4.0)]
    assert times(10, *few, (1, 9.0), (2, 10.0), (3, 11.0)) == [(1, 9.0), (2, 10.0), (3, 11.0)]
    assert times(10, (2, 1.0), (1, 2.0)) == [(2, 1.0)]
    assert times(
        4, (1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 2), (2, 2), (3, 3), (3, 3), (3, 3), (1, 8)
    ) == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_rounds_of_all_nodes_at_once_have_their_bytes_filled_in() -> None:
    rounds = RoundsDone(5)
    for done in (2, 4):
        rounds.note(RoundFigures(done, None, 0.5, None), nodes=5)
    rounds.count_bytes([10, 20, 30, 40])
    assert rounds.rows() == (RoundFigures(2, None, 0.5, 20), RoundFigures(4, None, 0.5, 40))
