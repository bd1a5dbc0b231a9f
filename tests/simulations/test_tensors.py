"""The recursions on a device's tensors are those on arrays; tried on the CPU, where both can run."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import topologies
from p2pfl.errors import ConfigError
from simulations import Experiment, tensors
from simulations.course import Course
from simulations.progress import StoppedError
from simulations.vectorised import gossip_averaging
from simulations.vectorised_push_sum import push_shares, push_sum

NODES, PARAMETERS, ROUNDS = 12, 5, 6


def models() -> NDArray[np.float64]:
    return np.random.default_rng(3).standard_normal((NODES, PARAMETERS))


def drift(X: Tensor, round: int) -> Tensor:
    return X + torch.sin(X) / (1 + round)


def drift_of_arrays(X: NDArray[np.float64], round: int) -> NDArray[np.float64]:
    return drift(torch.from_numpy(X), round).numpy()


GRAPHS = {
    "ring": topologies.ring(NODES),
    "full mesh": topologies.full_mesh(NODES),
    "star": topologies.star(NODES),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_averaging_is_that_on_arrays(graph: object) -> None:
    W = topologies.metropolis_weights(graph)
    expected = gossip_averaging(models(), W, ROUNDS, train=drift_of_arrays)  # type: ignore[arg-type]
    found = tensors.gossip_averaging(torch.from_numpy(models()), lambda _: W, ROUNDS, train=drift)
    assert np.abs(found.numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("weights", [None, np.arange(1.0, NODES + 1)], ids=["equal", "weighted"])
def test_push_sum_is_that_on_arrays(weights: NDArray[np.float64] | None) -> None:
    C = push_shares(topologies.receive_weights(topologies.one_way_trust(NODES, 3, 1)))
    expected = push_sum(models(), C, ROUNDS, train=drift_of_arrays, weights=weights)  # type: ignore[arg-type]
    found = tensors.push_sum(torch.from_numpy(models()), lambda _: C, ROUNDS, train=drift, weights=weights)
    assert np.abs(found.numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum"])
def test_an_experiment_runs_on_tensors_as_on_arrays(protocol: str) -> None:
    experiment = Experiment(
        nodes=5, protocol=protocol, engine="vectorised", rounds=3, dtype="float64", evaluate_every=2
    )
    setting, result = experiment.setting(), experiment.run(progress=False)
    course, W = Course(setting, 2), setting.schedule.weights(0)
    shares: Callable[[int], object] = lambda _: push_shares(W) if protocol == "push_sum" else W  # noqa: E731
    start = np.repeat(setting.initial.params[np.newaxis], 5, axis=0)
    X = tensors.on_device(protocol, setting.learner, start, rounds=3, course=course, W=shares)  # type: ignore[arg-type]
    assert X.dtype == result.models.dtype == np.float64
    assert np.abs(X - result.models).max() < 1e-9
    assert course.rows == tuple(row for row in result.accuracy if row.round == 2)


@pytest.mark.parametrize("evaluate_every", [0, 2])
def test_a_run_on_tensors_tells_of_every_round_and_can_be_stopped(evaluate_every: int) -> None:
    told: list[int] = []

    def stop_at_three(done: int, _: int) -> None:
        told.append(done)
        if done >= 3 * NODES:
            raise StoppedError("enough")

    experiment = Experiment(nodes=NODES, topology="ring", engine="vectorised", rounds=ROUNDS, batched=True)
    setting = replace(experiment.setting(), progress=stop_at_three)
    course, W = Course(setting, evaluate_every), setting.schedule.weights(0)
    start = np.repeat(setting.initial.params[np.newaxis], NODES, axis=0)
    with pytest.raises(StoppedError):
        tensors.on_device(
            "gossip_averaging",
            setting.learner,  # type: ignore[arg-type]
            start,
            rounds=ROUNDS,
            course=course,
            W=lambda _: W,
        )
    assert told[-1] == 3 * NODES
    assert {NODES, 2 * NODES} <= set(told)


def test_weights_that_do_not_mix_are_refused() -> None:
    X = torch.zeros(2, 1)
    with pytest.raises(ConfigError, match="row 0 of the mixing weights sums to 2"):
        tensors.TensorMixing(np.ones((2, 2)), X)
    with pytest.raises(ConfigError, match=r"column 1 of the push weights sums to 0\.5"):
        tensors.TensorMixing(np.array([[1.0, 0.0], [0.0, 0.5]]), X, is_push=True)
    with pytest.raises(ConfigError, match="W mixes 2 nodes, but there are 3 models"):
        tensors.TensorMixing(np.eye(2), X).mix(torch.zeros(3, 1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum"])
def test_a_cuda_device_gives_the_models_of_the_cpu(protocol: str) -> None:
    def run(device: str) -> NDArray[np.float32] | NDArray[np.float64]:
        experiment = Experiment(
            nodes=5, protocol=protocol, engine="vectorised", rounds=3, dtype="float64", device=device
        )
        return experiment.run(progress=False).models

    assert np.abs(run("cuda") - run("cpu")).max() < 1e-9
