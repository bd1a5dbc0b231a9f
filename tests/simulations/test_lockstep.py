"""Gossip in lockstep: whoever is killed whenever, every node ends with the bytes of an undisturbed run."""

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from simulations import Experiment

NODES, ROUNDS = 6, 8


def models(
    faults: dict[str, object], *, lockstep: bool = True, topology: str = "ring"
) -> NDArray[np.floating]:
    experiment = Experiment(
        topology=topologies.build(topology, NODES, 0),
        protocol={"name": "gossip_averaging", "round_timeout_s": 0.0, "lockstep": lockstep},
        task={"name": "digits_softmax", "local_steps": 1},
        rounds=ROUNDS,
        seed=5,
        network={"latency_s": 0.05, "jitter_s": 0.3},
        compute={"seconds": 1.0},
        faults=faults,
        evaluate_every=ROUNDS,
    )
    return experiment.run().models


def crashes(seed: int) -> dict[str, object]:
    """Five crashes at random times, of one node or several, each for up to four seconds."""
    random = np.random.default_rng(seed)
    table, from_s = [], 0.5
    for _ in range(5):
        down_s = from_s + float(random.uniform(0, 1.5))
        up_s = down_s + float(random.uniform(0.01, 4))
        nodes = [int(node) for node in random.permutation(NODES)[: random.integers(1, NODES + 1)]]
        table.append({"nodes": nodes, "at_s": down_s, "restart_s": up_s})
        from_s = up_s
    return {"crash": table}


@pytest.fixture(scope="module")
def undisturbed() -> NDArray[np.floating]:
    return models({})


@pytest.mark.parametrize("seed", range(6))
def test_crashes_at_any_time_change_no_byte(seed: int, undisturbed: NDArray[np.floating]) -> None:
    assert models(crashes(seed)).tobytes() == undisturbed.tobytes()


def test_without_lockstep_the_same_crashes_do(undisturbed: NDArray[np.floating]) -> None:
    assert models({}, lockstep=False).tobytes() == undisturbed.tobytes()
    assert models(crashes(0), lockstep=False).tobytes() != undisturbed.tobytes()


@pytest.mark.parametrize("seed", range(2))
def test_along_one_way_edges_nobody_waits_for_what_will_never_come(seed: int) -> None:
    assert np.isfinite(models(crashes(seed), topology="one_way_ring")).all()
