from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from p2pfl.errors import ConfigError
from p2pfl.learning.learner import TrainingState
from p2pfl.learning.optimizer import (
    OPTIMIZERS,
    Optimizer,
    OptimizerFactory,
    PlainSGD,
    restore_state,
    save_state,
)

STEPS = 4
FACTORIES: dict[str, OptimizerFactory] = {**OPTIMIZERS, "momentum": partial(PlainSGD, momentum=0.9)}


def fresh_parameters() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(3)
    # One element, a matrix, and a scalar: state must find back to the shape of each.
    return {
        name: torch.randn(shape, generator=random).requires_grad_()
        for name, shape in (("one", (1,)), ("layer/weight", (3, 2)), ("scalar", ()))
    }


def descend(optimizer: Optimizer, parameters: dict[str, Tensor], steps: int) -> None:
    """A quadratic bowl whose gradient is the parameter itself, times 3."""
    for _ in range(steps):
        for parameter in parameters.values():
            parameter.grad = 3 * parameter.detach().clone()
        optimizer.step()


def run(factory: OptimizerFactory, pieces: list[int], *, carries: bool = True) -> bytes:
    parameters = fresh_parameters()
    state: TrainingState = {}
    for steps in pieces:
        optimizer = factory(list(parameters.values()), 0.1)
        if carries:
            restore_state(optimizer, parameters, state)
        descend(optimizer, parameters, steps)
        state = save_state(optimizer, parameters)
    return b"".join(parameter.detach().numpy().tobytes() for parameter in parameters.values())


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_training_in_parts_with_its_state_carried_equals_training_at_once(name: str) -> None:
    assert (
        run(FACTORIES[name], [STEPS])
        == run(FACTORIES[name], [1, STEPS - 1])
        == run(FACTORIES[name], [1] * STEPS)
    )


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - {"sgd"}))
def test_the_state_matters(name: str) -> None:
    assert run(FACTORIES[name], [STEPS]) != run(FACTORIES[name], [1, STEPS - 1], carries=False)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_plain_sgd_computes_what_torch_does(momentum: float) -> None:
    ours = run(partial(PlainSGD, momentum=momentum), [STEPS])
    torchs = run(lambda parameters, step: torch.optim.SGD(parameters, step, momentum=momentum), [STEPS])

    np.testing.assert_allclose(np.frombuffer(ours, np.float32), np.frombuffer(torchs, np.float32), rtol=1e-6)


def test_saved_state_is_a_copy() -> None:
    parameters = fresh_parameters()
    optimizer = PlainSGD(list(parameters.values()), 0.1, momentum=0.9)
    descend(optimizer, parameters, 1)
    saved = save_state(optimizer, parameters)
    before = {name: array.copy() for name, array in saved.items()}

    descend(optimizer, parameters, 1)

    assert saved.keys() == {f"optimizer/{name}/momentum_buffer" for name in parameters}
    assert all(saved[name].tobytes() == before[name].tobytes() for name in saved)


def test_state_of_another_model_is_left_out() -> None:
    parameters = fresh_parameters()
    optimizer = PlainSGD(list(parameters.values()), 0.1, momentum=0.9)

    restore_state(
        optimizer, parameters, {"optimizer/gone/momentum_buffer": np.ones(2), "buffer/one": np.ones(1)}
    )

    assert not optimizer.state


def test_an_optimiser_whose_state_cannot_be_carried_is_refused() -> None:
    class Hoarder(PlainSGD):
        pass

    make: Callable[[list[Tensor], float], Hoarder] = Hoarder
    parameters = fresh_parameters()
    optimizer = make(list(parameters.values()), 0.1)
    optimizer.state[parameters["one"]] = {"history": [1, 2]}  # type: ignore[dict-item]

    with pytest.raises(ConfigError, match="Hoarder keeps 'history' as list"):
        save_state(optimizer, parameters)
