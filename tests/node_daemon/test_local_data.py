from pathlib import Path

import numpy as np
import pytest

from node_daemon.config import load_config
from node_daemon.local_data import training_rows
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private


def dataset(rows: int = 60) -> Dataset:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(rows, 2)).astype(np.float32)
    samples = Samples(inputs, np.arange(rows, dtype=np.int64) % 3)
    return Dataset(samples, samples.take(np.arange(3)), 3)


def rows_of(**flags: object) -> Samples:
    return training_rows(
        load_config({f"data.{key}": value for key, value in flags.items()}).settings, dataset()
    )


def test_without_a_word_about_data_a_node_has_all_rows(user: Path) -> None:
    assert len(rows_of()) == 60


def test_the_parts_of_a_partition_are_disjoint_and_together_everything(user: Path) -> None:
    parts = [rows_of(part=i, parts=4, partition="iid") for i in range(4)]

    together = np.concatenate([part.inputs for part in parts])
    assert len(np.unique(together, axis=0)) == len(together) == 60


def test_options_reach_the_partition(user: Path) -> None:
    parts = [
        len(rows_of(part=i, parts=3, partition="quantity", options={"min_samples": 18})) for i in range(3)
    ]

    assert min(parts) >= 18


def test_a_file_has_inputs_and_in_the_last_column_the_label(user: Path) -> None:
    path = write_private(user / "mine.csv", "x,y,label\n0.5,1,2\n-1,2e-1,0\n")

    rows = rows_of(path=str(path))

    np.testing.assert_array_equal(rows.inputs, np.array([[0.5, 1], [-1, 0.2]], dtype=np.float32))
    assert rows.labels.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("1,2\n", "expected 3 columns"),
        ("1,2,3\n", "whole numbers from 0 to 2, found 3"),
        ("", "no row of numbers"),
        ("x,y,label\n", "no row of numbers"),
        ("x,y,label\n1,2,0\n1,x,0\n", "'x' is not a number: line 3, column 2"),
        ("1,2,0.5\n", "whole numbers from 0 to 2"),
        ("1,2,0\n1,x,0\n", "x"),
        ("1,inf,0\n", "not finite"),
        ("1,1,nan\n", "not finite"),
    ],
)
def test_a_malformed_file_is_refused_with_the_fact(user: Path, text: str, fact: str) -> None:
    path = write_private(user / "mine.csv", text)

    with pytest.raises(ConfigError, match="does not fit the task") as caught:
        rows_of(path=str(path))

    assert fact in caught.value.facts[0]


def test_a_missing_file_is_named(user: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the data file: No such file") as caught:
        rows_of(path="nowhere.csv")

    assert caught.value.where.endswith("nowhere.csv")


def test_an_option_of_the_partition_that_cannot_be_is_found_by_its_key(user: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        rows_of(part=0, parts=2, options={"alpha": -1})

    assert caught.value.where == "data.options.alpha"


def test_a_file_that_is_no_text_is_refused(user: Path) -> None:
    (user / "mine.csv").write_bytes(b"\x00\xff\x01")

    with pytest.raises(ConfigError) as caught:
        rows_of(path=str(user / "mine.csv"))

    assert caught.value.facts == ("it is not text (UTF-8)",)
