"""The table of faults: what it refuses, who is down at first, and what happens when."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from p2pfl.errors import ConfigError
from simulations.churn import Churn, ChurnTimes, read_availability
from simulations.event_simulator import EventSimulator
from simulations.faults import faults_from
from simulations.traces import Trace
from simulations.training import add_one, by_function
from tests.simulations.swarms import Chatter, swarm_of

COMES_AND_GOES = {"up", "down", "left"}


def happened(
    faults: Mapping[str, object], *, nodes: int = 4, rounds: int = 12, only: frozenset[str] | set[str]
) -> list[str]:
    table = faults_from(faults, nodes=nodes)
    swarm = swarm_of(nodes, Chatter, rounds=rounds)
    down = {swarm.members[node] for node in table.down}
    trace = Trace()
    simulator = EventSimulator(swarm, train=by_function(add_one), down=down, trace=trace)
    table.schedule(simulator, seed=3)
    simulator.run()
    lines = [line.split() for line in trace.lines]
    return [f"{time_s} {member[-1]} {what}" for time_s, member, what, *_ in lines if what in only]


def test_every_verb_happens_at_its_time() -> None:
    faults = {
        "crash": [{"node": 1, "at_s": 2.5, "restart_s": 4.5}],
        "leave": {"nodes": [2], "at_s": 3.5},
        "join": [{"node": 3, "at_s": 1.5}],
        "partition": [{"groups": [[0], [1]], "at_s": 5.5, "heal_s": 6.5}],
        "partition_oneway": [{"from": [0], "to": [1], "at_s": 7.5}],
        "heal": [{"at_s": 8.5}],
    }
    assert happened(faults, only={*COMES_AND_GOES, "partition", "heal"}) == [
        "0.0000 0 up",
        "0.0000 1 up",
        "0.0000 2 up",
        "1.5000 3 up",
        "2.5000 1 down",
        "3.5000 2 left",
        "4.5000 1 up",
        "5.5000 - partition",
        "6.5000 - heal",
        "7.5000 - partition",
        "8.5000 - heal",
    ]


def test_faults_that_are_too_late_do_not_keep_a_run_alive_but_a_restart_to_come_does() -> None:
    late = {"crash": [{"node": 1, "at_s": 2.5, "restart_s": 500.0}], "leave": {"node": 2, "at_s": 900.0}}
    assert happened(late, rounds=4, only=COMES_AND_GOES)[-1] == "500.0000 1 up"


def test_an_availability_trace_says_who_is_up(tmp_path: Path) -> None:
    path = tmp_path / "machines.csv"
    path.write_text("node,up_s,down_s\n1,6,\n1,0,2.5\n2,3,5\n")
    lines = happened({"availability": str(path)}, only=COMES_AND_GOES)
    assert [line for line in lines if " 1 " in line] == ["0.0000 1 up", "2.5000 1 down", "6.0000 1 up"]
    assert [line for line in lines if " 2 " in line] == ["3.0000 2 up", "5.0000 2 down"]
    as_json = tmp_path / "machines.json"
    as_json.write_text(
        '[{"node": 1, "up_s": 0, "down_s": 2.5}, {"node": 1, "up_s": 6}, {"node": 2, "up_s": 3, "down_s": 5}]'
    )
    assert read_availability(as_json, nodes=4) == read_availability(path, nodes=4)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "node,from,to\n", "not node, up_s, down_s"),
        ("a.csv", "node,up_s,down_s\n7,0,1\n", "there is no node 7"),
        ("a.csv", "node,up_s,down_s\n1,2,1\n", "is up from 2.0 s to 1.0 s"),
        ("a.csv", "node,up_s,down_s\n1,0,5\n1,4,6\n", "comes up at 4.0 s, but is up until 5.0 s"),
        ("a.csv", "node,up_s,down_s\none,0,5\n", "is no node, up_s, down_s"),
        ("a.json", "{", "no JSON"),
        ("a.json", '{"node": 1}', "not a list"),
    ],
)
def test_a_wrong_trace_names_the_file_and_the_row(name: str, text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        faults_from({"availability": str(path)}, nodes=4)
    assert words in caught.value.what
    assert str(path) in caught.value.where


def test_churn_is_up_and_down_for_as_long_as_asked_on_average() -> None:
    churn = Churn(up_s=100.0, down_s=20.0)
    ups, downs = [], []
    for node in range(200):
        times, now_s = ChurnTimes(churn, node, 5), 0.0
        for _ in range(5):
            following = times.next(now_s)
            assert following is not None
            ups.append(following[0] - now_s)
            downs.append(following[1] - following[0])
            now_s = following[1]
    assert np.mean(ups) == pytest.approx(100, rel=0.1)
    assert np.mean(downs) == pytest.approx(20, rel=0.1)


def test_churn_strikes_its_share_and_ends_in_time() -> None:
    affected = [ChurnTimes(Churn(10.0, 1.0, share=0.3), node, 5).is_affected for node in range(1000)]
    assert sum(affected) == pytest.approx(300, abs=45)
    assert ChurnTimes(Churn(10.0, 1.0, until_s=50.0), 1, 5).next(51.0) is None


def test_churn_brings_everybody_back() -> None:
    lines = happened(
        {"churn": {"up_s": 5.0, "down_s": 2.0, "law": "constant", "until_s": 30}}, only=COMES_AND_GOES
    )
    counts = {what: sum(line.endswith(what) for line in lines) for what in ("up", "down")}
    assert counts["down"] >= 4
    assert counts["up"] == counts["down"] + 4


def test_a_run_that_gets_nowhere_ends_though_churn_goes_on() -> None:
    # Nobody is up for as long as a training takes, so that nobody ever finishes.
    lines = happened({"churn": {"up_s": 0.5, "down_s": 60.0, "law": "constant"}}, only=COMES_AND_GOES)
    assert 3500 < float(lines[-1].split()[0]) < 3700


@pytest.mark.parametrize(
    ("faults", "where", "words"),
    [
        ("many", "faults", "must be a table"),
        ({"crsh": []}, "faults.crsh", "unknown fault 'crsh'"),
        ({"crash": 3}, "faults.crash", "list of tables"),
        ({"crash": [{"node": 4, "at_s": 1}]}, "faults.crash[0].node", "there is no node 4"),
        ({"crash": [{"node": 1, "at_s": -1}]}, "faults.crash[0].at_s", "0 or more seconds"),
        ({"crash": [{"node": 1}]}, "faults.crash[0].at_s", "no at_s"),
        ({"crash": [{"at_s": 1}]}, "faults.crash[0].node", "needs node or nodes"),
        ({"crash": [{"node": 1, "at_s": 2, "restart_s": 2}]}, "faults.crash[0].restart_s", "is not after"),
        ({"crash": [{"node": 1, "at_s": 1, "heal_s": 2}]}, "faults.crash[0].heal_s", "'heal_s'"),
        ({"partition": {"groups": [[0], [0]], "at_s": 1}}, "faults.partition[0].groups", "two groups"),
        ({"partition": {"groups": 3, "at_s": 1}}, "faults.partition[0].groups", "no list of groups"),
        ({"partition_oneway": {"from": [0], "at_s": 1}}, "faults.partition_oneway[0].to", "no to"),
        ({"churn": {"up_s": 3}}, "faults.churn.down_s", "no down_s"),
        ({"churn": {"up_s": 0, "down_s": 1}}, "faults.churn.up_s", "more than 0"),
        ({"churn": {"up_s": 1, "down_s": 1, "verb": "explode"}}, "faults.churn.verb", "unknown verb"),
        ({"churn": {"up": 1}}, "faults.churn.up", "unknown option of churn"),
        ({"availability": 7}, "faults.availability", "name of a file"),
    ],
)
def test_a_wrong_table_names_its_key(faults: object, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        faults_from(faults, nodes=4)
    assert caught.value.where == where
    assert words in caught.value.what
