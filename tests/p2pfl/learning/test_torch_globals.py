from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from p2pfl.learning.torch_globals import drawing


def test_threads_that_draw_at_once_draw_what_their_seeds_say() -> None:
    def draws(seed: int) -> list[float]:
        with drawing(np.random.default_rng(seed), device=torch.device("cpu")):
            return [float(torch.rand(())) for _ in range(50)]

    seeds = list(range(8)) * 4
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draws, seeds))
    assert together == [draws(seed) for seed in seeds]
