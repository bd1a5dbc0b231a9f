from itertools import pairwise

import numpy as np
import pytest

from p2pfl.data.clustered_stream import clustered_stream, clusters
from p2pfl.data.dataset import Samples
from p2pfl.data.digits import digits
from p2pfl.errors import ConfigError

CORNERS = np.array([[0, 0], [0, 9], [9, 0], [9, 9]], dtype=np.float64)


def corners(rows: int, *, seed: int = 0) -> Samples:
    """Points near four corners; the label is the corner."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 4, rows)
    points = CORNERS[label] + random.normal(0, 0.5, (rows, 2))
    return Samples(points.astype(np.float32), label)


def test_points_around_four_corners_form_four_clusters() -> None:
    samples = corners(200)
    found = clusters(samples.inputs.astype(np.float64), 4, 1)

    pairs = set(zip(found.tolist(), samples.labels.tolist(), strict=True))
    assert len(pairs) == 4


def test_without_a_share_for_clusters_the_parts_are_consecutive() -> None:
    parts = clustered_stream(corners(10), 3, 0, beta=0)

    assert [rows.tolist() for rows in parts] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_the_share_for_clusters_is_alike_within_a_part_and_the_rest_is_in_order() -> None:
    samples = corners(400)
    parts = clustered_stream(samples, 4, 0, beta=0.5)

    assert [len(rows) for rows in parts] == [100] * 4
    early = [samples.labels[rows[rows < 200]] for rows in parts]
    assert np.mean([np.bincount(labels).max() / len(labels) for labels in early]) > 0.9
    late = [rows[rows >= 200] for rows in parts]
    assert all(one[-1] < two[0] for one, two in pairwise(late))


def test_more_parts_than_distinct_rows_still_fill_every_part() -> None:
    same = Samples(np.ones((20, 3), dtype=np.float32), np.zeros(20, dtype=np.int64))

    assert [len(rows) for rows in clustered_stream(same, 6, 0, beta=1.0)] == [4, 4, 3, 3, 3, 3]


def test_a_larger_share_for_clusters_gives_more_skewed_labels() -> None:
    train = digits().train

    def skew(beta: float) -> float:
        parts = clustered_stream(train, 10, 0, beta=beta)
        return float(np.mean([np.bincount(train.labels[rows]).max() / len(rows) for rows in parts]))

    assert skew(0.0) < 0.3 < skew(0.5) < skew(0.9)


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan"), "half", True])
def test_beta_must_be_a_share(beta: float) -> None:
    with pytest.raises(ConfigError, match="beta must be a number from 0 to 1") as caught:
        clustered_stream(corners(20), 4, 0, beta=beta)
    assert caught.value.where == "data.beta"
