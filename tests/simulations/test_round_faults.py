"""Faults at rounds: when each is due, what is refused, and that virtual time does what the table says."""

from collections.abc import Mapping

import pytest

from p2pfl.errors import ConfigError
from simulations import Experiment
from simulations.faults import faults_from
from simulations.round_faults import RoundFault, Triggers


def test_what_ends_a_node_waits_for_its_own_round_and_what_starts_one_for_anybodys() -> None:
    triggers = Triggers([RoundFault("crash", 1, 5, 8), RoundFault("join", 2, 3)])

    assert triggers.done(0, 2) == []
    assert triggers.done(0, 3) == [("join", 2)]
    assert triggers.done(0, 6) == []
    assert triggers.done(1, 5) == [("crash", 1)]
    assert triggers.done(0, 7) == []
    assert triggers.done(3, 9) == [("restart", 1)]
    assert triggers.are_over
    assert triggers.done(1, 9) == []


def test_a_node_that_is_late_is_down_before_it_comes_back() -> None:
    triggers = Triggers([RoundFault("crash", 1, 5), RoundFault("restart", 1, 7)])

    assert triggers.done(0, 9) == []
    assert triggers.done(1, 6) == [("crash", 1), ("restart", 1)]


def test_a_round_that_a_token_leaps_over_counts_when_the_node_has_it_next() -> None:
    triggers = Triggers([RoundFault("leave", 2, 5, 6)])

    assert triggers.done(2, 3) == []
    assert triggers.done(2, 8) == [("leave", 2), ("join", 2)]


def test_who_is_started_first_of_all_is_down_until_then() -> None:
    table = {
        "join": [{"node": 0, "at_round": 2}],
        "crash": [{"nodes": [1, 2], "at_round": 3, "restart_round": 4}],
        "restart": [{"nodes": [2, 3], "at_round": 9}],
    }
    assert faults_from(table, nodes=4).down == {0, 3}


@pytest.mark.parametrize(
    ("faults", "where", "words"),
    [
        ({"crash": [{"node": 1, "at_round": 0}]}, "faults.crash[0].at_round", "whole number from 1"),
        ({"crash": [{"node": 1, "at_round": 2.0}]}, "faults.crash[0].at_round", "whole number from 1"),
        ({"crash": [{"node": 1, "at_round": 2, "at_s": 1}]}, "faults.crash[0]", "at a time and at a round"),
        ({"crash": [{"at_round": 2}]}, "faults.crash[0].node", "needs node or nodes"),
        ({"crash": [{"node": 7, "at_round": 2}]}, "faults.crash[0].node", "there is no node 7"),
        (
            {"crash": [{"node": 1, "at_round": 2, "restart_s": 3}]},
            "faults.crash[0].restart_s",
            "unknown option of crash at a round: 'restart_s'",
        ),
        (
            {"leave": [{"node": 1, "at_round": 2, "join_round": 2}]},
            "faults.leave[0].join_round",
            "is not after at_round = 2",
        ),
        ({"suspend": [{"node": 1, "at_s": 2}]}, "faults.suspend[0].at_round", "no at_round"),
        ({"partition": [{"groups": [[1]], "at_round": 2}]}, "faults.partition[0].at_round", "goes by time"),
    ],
)
def test_a_wrong_line_names_its_key(faults: object, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        faults_from(faults, nodes=4)
    assert caught.value.where == where
    assert words in caught.value.what


def _experiment(faults: Mapping[str, object], **changes: object) -> Experiment:
    settings = {"nodes": 5, "task": "digits_softmax", "partition": "iid", "rounds": 10, **changes}
    return Experiment(faults=faults, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("faults", "engine", "where", "fix"),
    [
        ({"crash": [{"node": 1, "at_s": 2}]}, "processes", "faults.crash[0]", "at_round"),
        ({"heal": [{"at_s": 2}]}, "processes", "faults.heal[0]", 'engine = "event"'),
        ({"churn": {"up_s": 3, "down_s": 1}}, "processes", "faults.churn", "at_round"),
        ({"crash": [{"node": 1, "at_round": 11}]}, "processes", "faults.crash[0]", "from 1 to 10"),
        ({"crash": [{"node": 1, "at_round": 11}]}, "event", "faults.crash[0]", "from 1 to 10"),
        ({"suspend": [{"node": 1, "at_round": 2}]}, "event", "faults.suspend[0]", "restart_round"),
        ({"crash": [{"node": 1, "at_round": 2}]}, "vectorised", "faults", "no faults"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_what_would_work(
    faults: dict[str, object], engine: str, where: str, fix: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _experiment(faults, engine=engine).run()
    assert caught.value.where == where
    assert fix in (caught.value.fix or "")


def test_in_virtual_time_a_node_stops_in_its_round_and_comes_back_in_that_of_the_others() -> None:
    gone = _experiment({"crash": [{"node": 2, "at_round": 4}], "leave": [{"node": 0, "at_round": 6}]}).run()
    assert [row.round for row in gone.final] == [6, 10, 4, 10, 10]

    back = _experiment({"crash": [{"node": 2, "at_round": 4, "restart_round": 7}]}).run()
    seen = [(row.round, row.time_s) for row in back.accuracy if row.node == 2]
    assert seen[:4] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert (seen[4][1] or 0.0) >= 7.0
    assert back.final[2].round == 10


def test_the_same_faults_give_the_same_bytes() -> None:
    def models() -> bytes:
        faults = {
            "crash": [{"node": 2, "at_round": 4, "restart_round": 7}],
            "join": [{"node": 1, "at_round": 3}],
        }
        return _experiment(faults).run().models.tobytes()

    assert models() == models()


def test_a_run_that_nobody_would_begin_is_refused() -> None:
    late = {"join": [{"nodes": [0, 1], "at_round": 2}]}
    with pytest.raises(ConfigError, match="nobody would ever begin") as caught:
        faults_from(late, nodes=2)
    assert caught.value.where == "faults.join[0]"
    assert faults_from(late, nodes=3).down == {0, 1}
