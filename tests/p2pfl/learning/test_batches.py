from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import ConfigError
from p2pfl.learning.batches import Batches


def draw(batches: Batches, rows: int, seed: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in batches.draw(np.random.default_rng(seed), rows)]


def rows_of(drawn: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(drawn))


@given(rows=st.integers(1, 90), size=st.integers(1, 40), epochs=st.integers(1, 3))
def test_every_pass_holds_every_row_once_in_batches_of_nearly_equal_size(
    rows: int, size: int, epochs: int
) -> None:
    drawn = draw(Batches(size, epochs), rows)
    sizes = [len(batch) for batch in drawn]
    per_pass = len(drawn) // epochs

    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    for first in range(0, len(drawn), per_pass):
        assert sorted(rows_of(drawn[first : first + per_pass])) == list(range(rows))


def test_no_batch_has_a_single_row_where_two_are_possible() -> None:
    assert [len(batch) for batch in draw(Batches(16, 1), 17)] == [9, 8]


def test_every_pass_has_its_own_order() -> None:
    first, second = draw(Batches(10, 2), 10)

    assert first != second


@pytest.mark.parametrize("steps", [1, 4, 5, 11])
def test_local_steps_replace_epochs_and_go_on_with_a_fresh_pass(steps: int) -> None:
    drawn = draw(Batches(16, 2, local_steps=steps), 64)

    assert len(drawn) == steps
    assert len(set(rows_of(drawn[:4]))) == sum(len(batch) for batch in drawn[:4])


@pytest.mark.parametrize(
    ("size", "epochs", "steps"), [(0, 1, 0), (1, 0, 0), (1, 1, -1), (True, 1, 0), (2.5, 1, 0)]
)
def test_impossible_budgets_are_config_errors(size: int, epochs: int, steps: int) -> None:
    with pytest.raises(ConfigError, match="must be a whole number from"):
        Batches(size, epochs, steps)
