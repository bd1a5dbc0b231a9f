"""The points of a sweep: how many, in which order, by which names, and what is refused."""

import inspect
import json
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pfl import registry
from p2pfl.errors import ConfigError
from simulations.grid import MAX_POINTS, points
from simulations.list_options import takes_list

SCALARS = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b", "c"]), st.booleans())
LISTED = st.lists(SCALARS, min_size=1, max_size=3, unique_by=json.dumps)
TABLES = st.dictionaries(
    st.sampled_from(["seed", "rounds", "nodes", "engine"]), st.one_of(SCALARS, LISTED), max_size=4
)
NETWORKS = st.dictionaries(st.sampled_from(["loss", "jitter_s"]), st.one_of(SCALARS, LISTED), min_size=1)


def labels(**table: object) -> list[str]:
    return [point.label for point in points(table)]


def refused(**table: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        points(table)
    return caught.value


def test_a_table_without_lists_is_one_point() -> None:
    (point,) = points({"topology": "ring", "nodes": 4, "network": {"loss": 0.1}})

    assert point.table == {"topology": "ring", "nodes": 4, "network": {"loss": 0.1}}
    assert point.label == "experiment"


def test_what_is_written_first_varies_slowest() -> None:
    assert labels(seed=[0, 1], rounds=[5, 3]) == [
        "seed=0 rounds=5",
        "seed=0 rounds=3",
        "seed=1 rounds=5",
        "seed=1 rounds=3",
    ]


def test_lists_in_tables_in_a_list_are_swept_each_in_its_table() -> None:
    found = points({"topology": ["ring", {"name": "partial_mesh", "degree": [4, 6]}], "seed": 0})

    assert [point.table["topology"] for point in found] == [
        "ring",
        {"name": "partial_mesh", "degree": 4},
        {"name": "partial_mesh", "degree": 6},
    ]
    assert [point.label for point in found] == [
        "topology=ring",
        "topology=partial_mesh degree=4",
        "topology=partial_mesh degree=6",
    ]


def test_names_in_a_table_are_swept_with_their_options() -> None:
    assert labels(partition={"name": ["dirichlet", "feature_noise"]}) == [
        "partition=dirichlet",
        "partition=feature_noise",
    ]


def test_a_distribution_of_a_network_is_swept_at_any_depth() -> None:
    found = labels(network={"latency_s": {"distribution": "uniform", "low": 0.0, "high": [0.1, 0.5]}})
    assert found == ["high=0.1", "high=0.5"]


def test_keys_with_the_same_last_word_are_told_apart() -> None:
    table = {"task": {"name": "x:y", "path": "a"}, "topology": {"name": "file", "path": ["c", "d"]}}
    assert labels(**table) == ["path=c", "path=d"]
    table = {"protocol": {"beta": [1, 2]}, "partition": {"beta": [3, 4]}}
    assert labels(**table)[0] == "protocol.beta=1 partition.beta=3"


def test_the_lists_of_faults_are_values_and_lists_of_them_sweep() -> None:
    crash = [{"nodes": [1, 2], "at_s": 5.0}]
    split = [{"groups": [[0, 1], [2]], "at_s": 1.0}]
    assert points({"faults": {"crash": crash, "partition": split}})[0].table == {
        "faults": {"crash": crash, "partition": split}
    }
    assert labels(faults={"crash": [[], crash]}) == ["crash=[]", "crash=#2"]
    assert labels(faults=[{}, {"churn": {"up_s": [10, 20], "down_s": 5}}]) == [
        "faults={}",
        "up_s=10 down_s=5",
        "up_s=20 down_s=5",
    ]


def test_columns_of_a_table_are_a_value_and_lists_of_them_sweep() -> None:
    task = {"name": "tabular", "path": "a.csv", "label": "ill"}
    assert len(points({"task": {**task, "columns": ["age", "weight"]}})) == 1
    assert labels(task={**task, "columns": [["age"], ["age", "weight"]]}) == [
        'columns=["age"]',
        'columns=["age","weight"]',
    ]
    assert len(points({"task": {**task, "label": ["ill", "dead"]}})) == 2


def test_numbers_of_numpy_ranges_and_tuples_count_as_what_they_hold() -> None:
    found = points({"seed": range(2), "rounds": (3, 4), "partition": {"alpha": np.array([0.1, 1.0])}})

    assert len(found) == 8
    assert json.dumps(found[0].table) == '{"seed": 0, "rounds": 3, "partition": {"alpha": 0.1}}'


@pytest.mark.parametrize(
    ("table", "where", "words"),
    [
        ({"seed": []}, "seed", "leaves nothing to run"),
        ({"seed": [[0, 1]]}, "seed", "a list in a list: [0,1]"),
        ({"partition": {"name": "dirichlet", "alpha": [[0.1]]}}, "partition.alpha", "a list in a list"),
        (
            {"faults": {"crash": [{"at_s": 1}, [{"at_s": 2}]]}},
            "faults.crash",
            "mixes lists and single values",
        ),
        ({"faults": {"crash": [{"node": 1, "at_s": [1, 2]}]}}, "faults.crash.at_s", "takes one value"),
        ({"protocol": {"name": "gosip", "p": [1, 2]}}, "protocol", "unknown protocol 'gosip'"),
        ({"seed": [1, 1]}, "", "points 1 and 2 of the sweep are the same: "),
        ({"topology": ["ring", {"name": "ring"}]}, "", "are the same"),
        ({"seed": range(1000), "rounds": range(1000)}, "", f"1000000 points; at most {MAX_POINTS}"),
        ({"task": object()}, "task", "plain data, no object"),
    ],
)
def test_a_list_that_cannot_be_swept_is_refused(table: dict[str, object], where: str, words: str) -> None:
    error = refused(**table)
    assert words in error.what
    assert error.where == where


@settings(deadline=None, max_examples=50)
@given(TABLES, NETWORKS)
def test_every_combination_is_one_point_and_none_has_a_list_left(
    table: dict[str, object], network: dict[str, object]
) -> None:
    whole = {**table, "network": network}
    sizes = [len(value) for value in [*table.values(), *network.values()] if isinstance(value, list)]

    found = points(whole)

    assert len(found) == prod(sizes)
    assert "[" not in json.dumps([point.table for point in found])[1:-1]
    assert len({point.label for point in found}) == len(found)
    assert found == points(whole)
    assert all(list(point.table) == list(whole) for point in found)


def test_the_options_of_every_task_that_take_lists_are_those_of_its_dataset() -> None:
    """So that a sweep need not import torch to know them."""
    for name in registry.names("task"):
        if name not in registry.TABLES["dataset"]:
            continue
        parameters = inspect.signature(registry.resolve("task", name)).parameters  # type: ignore[arg-type]
        listed = {key for key, each in parameters.items() if "Sequence" in str(each.annotation)}
        assert listed == {key for key in parameters if takes_list("task", name, key)}


def test_a_sweep_of_a_built_in_task_does_not_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would bring torch, in the process that only waits for others."""
    asked: list[str] = []
    resolve = registry.resolve

    def noted(kind: str, name: str) -> object:
        asked.append(kind)
        return resolve(kind, name)

    monkeypatch.setattr(registry, "resolve", noted)

    assert len(points({"task": {"name": "digits", "step": [0.1, 0.3]}})) == 2
    assert asked == ["dataset"]
