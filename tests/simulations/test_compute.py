"""How long trainings take."""

from pathlib import Path

import numpy as np
import pytest

from p2pfl.errors import ConfigError
from simulations.compute import compute_from


def test_by_default_every_training_takes_the_same() -> None:
    assert {compute_from(2.5).of(node, training, 7) for node in range(3) for training in range(3)} == {2.5}


def test_draws_are_addressed_by_node_and_training_or_by_node_alone() -> None:
    table = {"distribution": "lognormal", "median": 2.0, "sigma": 0.3}
    each, once = compute_from(table), compute_from({**table, "per": "node"})
    drawn = [each.of(0, training, 7) for training in range(1000)]
    assert np.median(drawn) == pytest.approx(2.0, rel=0.05)
    assert each.of(0, 5, 7) == drawn[5]
    assert len({once.of(1, training, 7) for training in range(5)}) == 1
    assert once.of(1, 0, 7) != once.of(2, 0, 7)


def test_a_share_of_the_nodes_are_stragglers() -> None:
    compute = compute_from({"seconds": 1.0, "stragglers": 0.2, "slowdown": 4})
    seconds = [compute.of(node, 3, 5) for node in range(1000)]
    assert set(seconds) == {1.0, 4.0}
    assert seconds.count(4.0) == pytest.approx(200, abs=40)


def test_a_trace_is_gone_through_over_and_over(tmp_path: Path) -> None:
    path = tmp_path / "seconds.csv"
    path.write_text("node,seconds\n1,2.0\n1,3.5\n")
    compute = compute_from({"trace": str(path), "seconds": 9.0}, nodes=3)
    assert [compute.of(1, training, 0) for training in range(3)] == [2.0, 3.5, 2.0]
    assert compute.of(0, 0, 0) == 9.0


def test_a_function_says_it_for_every_training() -> None:
    assert compute_from(lambda node, training: node + training / 2).of(3, 1, 0) == 3.5


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (-1, "compute"),
        ("slow", "compute"),
        ({"second": 1}, "compute.second"),
        ({"stragglers": 2}, "compute.stragglers"),
        ({"distribution": "pareto"}, "compute.pareto"),
        ({"distribution": "lognormal", "median": 1, "sigma": 1, "per": "round"}, "compute.per"),
        ({"trace": "/no/such.csv"}, "compute.trace: /no/such.csv"),
    ],
)
def test_wrong_compute_times_name_their_key(found: object, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compute_from(found)
    assert caught.value.where == where.replace("compute.pareto", "compute.distribution")


@pytest.mark.parametrize("rows", ["node,time\n1,2\n", "node,seconds\n3,1\n", "node,seconds\n1,soon\n"])
def test_a_wrong_trace_is_refused(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "seconds.csv"
    path.write_text(rows)
    with pytest.raises(ConfigError) as caught:
        compute_from({"trace": str(path)}, nodes=3)
    assert str(path) in caught.value.where
