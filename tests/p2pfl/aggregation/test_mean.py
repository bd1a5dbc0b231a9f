import numpy as np
import pytest

from p2pfl.aggregation.mean import mean

RNG_SEED = 5


def test_the_mean_of_three_models_is_the_weighted_sum() -> None:
    models = np.array([[1, 2], [3, 4], [5, 8]], dtype=np.float32)

    result = mean(models, np.array([0.5, 0.25, 0.25], dtype=np.float32))

    assert result.tolist() == [2.5, 4.0]


def test_the_sum_runs_in_the_order_of_the_models_with_one_rounding_per_step() -> None:
    models = np.random.default_rng(RNG_SEED).standard_normal((6, 100)).astype(np.float32)
    weights = np.full(6, 1 / 6, dtype=np.float32)
    expected = weights[0] * models[0]
    for k in range(1, 6):
        expected = expected + weights[k] * models[k]

    assert mean(models, weights).tobytes() == expected.tobytes()
    assert mean(models[::-1], weights).tobytes() != expected.tobytes()


def test_bytes_do_not_depend_on_the_layout_of_nodes_and_columns() -> None:
    models = np.random.default_rng(RNG_SEED).standard_normal((7, 4, 333)).astype(np.float32)
    weights = np.random.default_rng(RNG_SEED + 1).random((7, 4)).astype(np.float32)

    together = mean(models, weights)

    for node in range(7):
        alone = mean(models[node], weights[node])
        assert alone.tobytes() == together[node].tobytes()
        pieces = [mean(models[node][:, a : a + 50], weights[node]) for a in range(0, 333, 50)]
        assert np.concatenate(pieces).tobytes() == alone.tobytes()
    node_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(models, 0, -1)), -1, 0)  # another memory layout
    assert mean(node_last, weights).tobytes() == together.tobytes()


def test_the_dtype_is_kept_and_nothing_is_changed_in_place() -> None:
    models = np.ones((3, 5), dtype=np.float32)
    weights = np.full(3, 1 / 3)

    result = mean(models, weights)

    assert result.dtype == np.float32
    assert (models == 1).all()
    assert weights.dtype == np.float64
    assert mean(models.astype(np.float64), weights).dtype == np.float64


@pytest.mark.parametrize(
    ("models", "weights"),
    [((0, 5), (0,)), ((5,), ()), ((3, 5), (4,)), ((2, 3, 5), (3,))],
)
def test_shapes_that_do_not_fit_are_refused(models: tuple[int, ...], weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="models"):
        mean(np.zeros(models, dtype=np.float32), np.zeros(weights, dtype=np.float32))
