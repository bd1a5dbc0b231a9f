import numpy as np
import pytest

from p2pfl.data.digits import digits
from p2pfl.data.feature_noise import feature_noise, held_samples
from p2pfl.data.partition import iid
from p2pfl.errors import ConfigError


def noise_of(part: int, *, sigma: float, seed: int = 0) -> np.ndarray:
    train = digits().train
    rows = feature_noise(train, 5, seed, sigma=sigma)
    held = held_samples(feature_noise, train, rows, part=part, seed=seed, options={"sigma": sigma})
    np.testing.assert_array_equal(held.labels, train.labels[rows[part]])
    assert held.inputs.dtype == np.float32
    noise: np.ndarray = held.inputs - train.inputs[rows[part]]
    return noise


def test_the_noise_grows_from_nothing_at_the_first_part_to_sigma_at_the_last() -> None:
    for part in range(5):
        noise = noise_of(part, sigma=2.0)
        assert noise.std() == pytest.approx(2.0 * part / 4, rel=0.02)
        assert abs(noise.mean()) < 0.05


def test_the_noise_is_a_function_of_seed_and_part() -> None:
    assert noise_of(2, sigma=1.0).tobytes() == noise_of(2, sigma=1.0).tobytes()
    assert noise_of(2, sigma=1.0).tobytes() != noise_of(2, sigma=1.0, seed=1).tobytes()


def test_the_training_rows_themselves_stay_as_they_are() -> None:
    before = digits().train
    train = digits().train
    held_samples(feature_noise, train, feature_noise(train, 3, 0), part=2, seed=0, options={})

    assert train.inputs.tobytes() == before.inputs.tobytes()


def test_a_single_part_has_no_noise() -> None:
    train = digits().train
    held = held_samples(
        feature_noise, train, feature_noise(train, 1, 0), part=0, seed=0, options={"sigma": 9.0}
    )

    np.testing.assert_array_equal(held.inputs, train.inputs)


def test_other_partitions_change_nothing() -> None:
    train = digits().train
    rows = iid(train, 4, 0)

    assert held_samples(iid, train, rows, part=1, seed=0, options={}).inputs.tobytes() == (
        train.inputs[rows[1]].tobytes()
    )


@pytest.mark.parametrize("sigma", [-1, float("inf"), float("nan"), "much", True])
def test_sigma_must_be_a_number_from_0(sigma: float) -> None:
    with pytest.raises(ConfigError, match="sigma must be a number from 0") as caught:
        feature_noise(digits().train, 3, 0, sigma=sigma)
    assert caught.value.where == "data.sigma"
