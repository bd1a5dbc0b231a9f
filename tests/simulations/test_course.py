"""What a run leaves of its rounds when nodes come late or start again."""

from simulations import Experiment
from simulations.result import Result

NODES, ROUNDS = 6, 6


def run(**faults: object) -> Result:
    experiment = Experiment(
        nodes=NODES, topology="ring", task="digits_softmax", rounds=ROUNDS, engine="event", faults=faults
    )
    return experiment.run(progress=False)


def check_rows(result: Result) -> None:
    done = [(row.node, row.round) for row in result.accuracy]
    assert len(done) == len(set(done))
    rounds = [row.round for row in result.by_round]
    assert rounds == list(range(1, ROUNDS + 1))
    moments = [(row.time_s or 0.0, row.bytes_sent or 0) for row in result.by_round]
    assert moments == sorted(moments)
    assert all(list(values) == sorted(values) for values in zip(*moments, strict=True))


def test_rows_of_rounds_stay_what_they_were_when_a_node_joins_late() -> None:
    result = run(join=[{"node": 3, "at_round": 4}])
    check_rows(result)
    early, late = (
        [row.time_s for row in result.accuracy if row.round == 1 and (row.node == 3) is is_late]
        for is_late in (False, True)
    )
    assert result.by_round[0].time_s in early
    assert not late or result.by_round[0].time_s < late[0]  # type: ignore[operator]


def test_rows_of_a_node_that_does_rounds_again_stay_one_a_round() -> None:
    result = run(crash=[{"nodes": [1, 2], "at_round": 3, "restart_round": 5}])
    check_rows(result)
    assert [row.round for row in result.final] == [ROUNDS] * NODES
