"""What holds for every registered partitioner."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from p2pfl import registry
from p2pfl.data.dataset import Samples
from p2pfl.data.digits import digits
from p2pfl.data.partition import Rows, fingerprint
from p2pfl.errors import ConfigError

PARTS = 6


def divide(name: str, samples: Samples, seed: int) -> list[Rows]:
    partitioner = cast("Callable[[Samples, int, int], list[Rows]]", registry.resolve("partition", name))
    return partitioner(samples, PARTS, seed)


def train_with_owners() -> Samples:
    train = digits().train
    owner = np.array([f"writer {row % PARTS}" for row in range(len(train))])
    return Samples(train.inputs, train.labels, owner)


@pytest.mark.parametrize("name", registry.names("partition"))
def test_parts_are_disjoint_complete_sorted_and_not_empty(name: str) -> None:
    samples = train_with_owners()
    for seed in range(5):
        parts = divide(name, samples, seed)

        assert len(parts) == PARTS
        assert all(len(rows) > 0 for rows in parts)
        assert all(rows.dtype == np.int64 and (np.diff(rows) > 0).all() for rows in parts)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(samples)))


@pytest.mark.parametrize("name", registry.names("partition"))
def test_parts_are_a_function_of_the_seed_only(name: str) -> None:
    samples = train_with_owners()
    first = fingerprint(divide(name, samples, 3))

    assert fingerprint(divide(name, samples, 3)) == first
    if name != "by_column":  # where nothing is drawn
        assert fingerprint(divide(name, samples, 4)) != first


@pytest.mark.parametrize("name", registry.names("partition"))
def test_more_parts_than_rows_is_a_config_error(name: str) -> None:
    samples = train_with_owners().take(np.arange(PARTS - 1))

    with pytest.raises(ConfigError):
        divide(name, samples, 0)


@pytest.mark.parametrize("name", registry.names("partition"))
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    item = cast("Callable[..., object]", registry.resolve("partition", name))

    with pytest.raises(ConfigError, match="colour"):
        registry.check_options("partition", name, item, options={"colour": 1})
