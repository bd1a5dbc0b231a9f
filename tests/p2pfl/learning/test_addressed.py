import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.learning.addressed import generators

word = st.integers(0, 2**32 - 1)


@given(word, word, st.lists(st.tuples(word, word), max_size=5))
def test_each_generator_is_that_of_its_address(
    seed: int, purpose: int, places: list[tuple[int, int]]
) -> None:
    nodes, ages = [node for node, _ in places], [age for _, age in places]
    count = 0
    for random, (node, age) in zip(generators(seed, nodes, ages, purpose=purpose), places, strict=True):
        expected = np.random.default_rng([seed, node, age, purpose])
        for _ in range(2):
            assert (random.permutation(7) == expected.permutation(7)).all()
            assert random.random() == expected.random()
        count += 1
    assert count == len(places)
