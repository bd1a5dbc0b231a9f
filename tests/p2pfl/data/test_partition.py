from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.dataset import Samples
from p2pfl.data.digits import digits
from p2pfl.data.partition import by_column, dirichlet, fingerprint, histogram, iid, labels, quantity, shards
from p2pfl.errors import ConfigError


def labelled(classes: list[int], owner: list[str] | None = None) -> Samples:
    inputs = np.arange(len(classes), dtype=np.float32)[:, None]
    owners = None if owner is None else np.array(owner)
    return Samples(inputs, np.array(classes, dtype=np.int64), owners)


def test_iid_parts_differ_by_at_most_one_row_and_hold_every_class() -> None:
    train = digits().train
    parts = iid(train, 7, 3)

    sizes = [len(rows) for rows in parts]
    assert max(sizes) - min(sizes) <= 1
    assert histogram(train, parts, 10).min() >= 10


def test_dirichlet_gives_every_part_ten_rows_by_default_even_for_a_hundred_parts() -> None:
    for parts, alpha in ((5, 0.5), (20, 0.1), (100, 0.3)):
        assert min(len(rows) for rows in dirichlet(digits().train, parts, 0, alpha=alpha)) >= 10


def test_a_smaller_alpha_gives_more_skewed_labels() -> None:
    train = digits().train

    def largest_share(alpha: float) -> float:
        shares = []
        for seed in range(10):
            counts = histogram(train, dirichlet(train, 5, seed, alpha=alpha), 10)
            shares.append((counts.max(axis=0) / counts.sum(axis=0)).mean())
        return float(np.mean(shares))

    assert largest_share(100.0) < 0.3 < 0.5 < largest_share(0.5) < largest_share(0.05)


def test_dirichlet_stops_filling_a_part_that_holds_its_share_as_niid_bench_does() -> None:
    train = digits().train
    largest_class = int(np.bincount(train.labels).max())

    for seed in range(20):
        largest = max(len(rows) for rows in dirichlet(train, 5, seed, alpha=0.05))
        assert largest < len(train) / 5 + largest_class


def test_shards_give_a_part_about_two_classes() -> None:
    train = digits().train
    classes = (histogram(train, shards(train, 10, 1), 10) > 0).sum(axis=1)

    assert classes.max() <= 4
    assert classes.mean() < 3.5


@pytest.mark.parametrize(("parts", "per_party"), [(10, 2), (5, 2), (23, 3), (4, 10), (10, 1)])
def test_labels_gives_each_part_so_many_classes_of_which_one_is_its_own(parts: int, per_party: int) -> None:
    train = digits().train
    for seed in range(5):
        counts = histogram(train, labels(train, parts, seed, per_party=per_party), 10)

        assert ((counts > 0).sum(axis=1) == per_party).all()
        assert all(counts[part, part % 10] > 0 for part in range(parts))


def test_holders_of_a_class_share_it_evenly() -> None:
    train = digits().train
    for counts in histogram(train, labels(train, 20, 1, per_party=3), 10).T:
        held = counts[counts > 0]
        assert held.max() - held.min() <= 1


def test_labels_says_which_numbers_of_classes_are_possible() -> None:
    for per_party in (1, 11):
        with pytest.raises(
            ConfigError, match=f"4 parts of {per_party} classes each cannot hold 10"
        ) as caught:
            labels(digits().train, 4, 0, per_party=per_party)
        assert caught.value.fix == "per_party from 3 to 10"


def test_labels_refuses_a_part_whose_classes_are_used_up() -> None:
    with pytest.raises(ConfigError, match="would be empty: its classes have fewer rows than holders"):
        labels(labelled([0] * 30 + [1]), 8, 0, per_party=1)


def test_quantity_skews_sizes_but_not_labels() -> None:
    train = digits().train
    parts = quantity(train, 5, 2, beta=0.5)
    sizes = np.array([len(rows) for rows in parts])
    largest = histogram(train, parts, 10)[sizes.argmax()] / sizes.max()

    assert sizes.max() > 3 * sizes.min() >= 30
    np.testing.assert_allclose(largest, 0.1, atol=0.04)


def test_by_column_gives_one_part_per_owner_in_the_order_of_their_names() -> None:
    samples = labelled([0, 1, 0, 1], owner=["zoe", "ann", "ann", "zoe"])

    assert [rows.tolist() for rows in by_column(samples, 2, 0)] == [[1, 2], [0, 3]]


def test_by_column_says_how_many_owners_there_are() -> None:
    with pytest.raises(ConfigError, match="2 owners, but 5 parts") as caught:
        by_column(labelled([0, 1], owner=["a", "b"]), 5, 0)
    assert caught.value.fix == "parts = 2"


def test_by_column_refuses_a_dataset_without_owners() -> None:
    with pytest.raises(ConfigError, match="names the owner"):
        by_column(labelled([0, 1]), 2, 0)


def test_impossible_divisions_say_what_would_work() -> None:
    with pytest.raises(ConfigError, match="1442 rows cannot give 200 parts at least 10") as caught:
        dirichlet(digits().train, 200, 0)
    assert caught.value.fix == "at most 144 parts, or at least 7 rows each"
    with pytest.raises(ConfigError) as caught:
        iid(labelled([0, 1, 1]), 4, 0)
    assert caught.value.fix == "at most 3 parts"
    with pytest.raises(ConfigError):
        shards(labelled([0, 1, 1]), 2, 0)
    with pytest.raises(ConfigError, match="parts must be"):
        iid(labelled([0, 1, 1]), 0, 0)


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf"), "much"])
def test_alpha_must_be_a_positive_number(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha must be a number above 0") as caught:
        dirichlet(digits().train, 5, 0, alpha=alpha)
    assert caught.value.where == "data.alpha"


def test_the_fingerprint_knows_the_rows_and_where_one_part_ends() -> None:
    one, two = np.array([0, 1, 2]), np.array([3])

    assert fingerprint([one, two]) == fingerprint([one.copy(), two.copy()])
    assert fingerprint([one, two]) != fingerprint([two, one])
    assert fingerprint([one, two]) != fingerprint([one[:2], np.array([2, 3])])


def test_the_dirichlet_split_of_the_demo_keeps_its_fingerprint() -> None:
    # A change here is a change of every published figure: say so in the changelog.
    parts = dirichlet(digits().train, 5, 0)
    assert [len(rows) for rows in parts] == [284, 360, 293, 192, 313]
    assert fingerprint(parts).startswith("e65f74dc6f59b33b")


# Any labels, any number of parts, extreme skew: the invariants are those of every partitioner.
@given(
    labels=st.lists(st.integers(-3, 12), min_size=1, max_size=120),
    parts=st.integers(1, 12),
    skew=st.floats(1e-300, 1e300),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_division_is_disjoint_complete_without_an_empty_part_or_refused(
    labels: list[int], parts: int, skew: float, seed: int
) -> None:
    samples = labelled(labels)
    divisions = [
        partial(dirichlet, samples, parts, seed, alpha=skew, min_samples=2),
        partial(quantity, samples, parts, seed, beta=skew, min_samples=2),
        partial(shards, samples, parts, seed, per_party=2),
    ]
    for divide in divisions:
        if 2 * parts > len(labels):
            with pytest.raises(ConfigError):
                divide()
            continue
        rows = divide()
        assert len(rows) == parts
        assert min(len(part) for part in rows) >= 2
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(labels)))
