from statistics import fmean

import pytest

from simulations.scenarios.protocols_compared import NODES, WAYS, experiment

PASSES = 20


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_model_should_move_often(way: str) -> None:
    often, rarely = (
        fmean(experiment(way, epochs, seed, passes=PASSES).run().final_accuracy for seed in range(2))
        for epochs in (1, 10)
    )

    assert often > rarely + 0.1


def test_every_way_has_the_same_training_budget() -> None:
    for way in WAYS:
        rounds = experiment(way, 2, 0, passes=2).rounds
        assert rounds == (1 if way.startswith("gossip") else NODES)
