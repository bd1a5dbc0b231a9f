"""The online scenario on a stream of our own, since its data are not shipped."""

import numpy as np

from p2pfl.data.dataset import Samples
from simulations.scenarios.online_push_sum import NODES, regrets


def test_learning_together_has_less_regret_than_alone_and_push_sum_is_near_the_full_mesh() -> None:
    random = np.random.default_rng(3)
    inputs = random.normal(size=(NODES * 40, 5)).astype(np.float32)
    labels = (inputs @ np.array([2.0, -1.0, 0.5, 1.0, -2.0]) > 0).astype(np.int64)
    found = regrets(Samples(inputs, labels), beta=0.0)
    assert found["full mesh"] < found["push-sum"] < found["alone"]
    assert found["push-sum"] < found["full mesh"] + 0.3 * (found["alone"] - found["full mesh"])
