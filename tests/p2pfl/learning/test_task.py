import numpy as np
import pytest
import torch
from torch import nn

from p2pfl import registry
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.task import Task, check_device
from p2pfl.learning.tasks import digits


def samples(*, columns: int = 4, labels: tuple[int, ...] = (0, 1, 2)) -> Samples:
    return Samples(np.ones((len(labels), columns), dtype=np.float32), np.array(labels))


def small_dataset() -> Dataset:
    return Dataset(samples(), samples(), 3)


small = Task("small", module=lambda: nn.Linear(4, 3), dataset=small_dataset)


def test_options_of_a_config_give_another_task_and_leave_the_first_alone() -> None:
    changed = small(step=0.5, batch_size=8, optimizer="adam", local_steps=3)

    assert (changed.step, changed.batch_size, changed.optimizer, changed.local_steps) == (0.5, 8, "adam", 3)
    assert changed.name == "small"
    assert changed.local_epochs == small.local_epochs
    assert (small.step, small.batch_size, small.optimizer) == (0.1, 16, "sgd")


def test_an_unknown_option_is_refused_and_the_nearest_one_suggested() -> None:
    with pytest.raises(ConfigError, match="'batchsize'; known: batch_size, local_epochs") as caught:
        registry.check_options("task", "digits", digits, options={"batchsize": 8})
    assert "batch_size" in caught.value.fix


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("step", -0.1),
        ("step", float("nan")),
        ("step", "fast"),
        ("momentum", 1.0),
        ("local_epochs", 0),
        ("batch_size", 1.5),
        ("optimizer", "adma"),
    ],
)
def test_a_wrong_value_is_a_config_error_that_names_option_and_value(option: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        small(**{option: value})  # type: ignore[arg-type]
    assert caught.value.where == f"task.{option}"
    assert repr(value) in caught.value.what


def test_momentum_belongs_to_sgd() -> None:
    with pytest.raises(ConfigError, match="only for the optimiser 'sgd'"):
        small(momentum=0.9, optimizer="adam")


def test_making_a_learner_does_not_touch_torchs_global_random_numbers() -> None:
    before = torch.random.get_rng_state()
    learner = small.learner(samples(), samples(), LearnerSetup(seed=3))
    learner.train(learner.initial(), {})

    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_that_the_module_does_not_take_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"does not take rows of shape \[7\]") as caught:
        small.learner(samples(columns=7), samples(), LearnerSetup())
    assert caught.value.facts


@pytest.mark.parametrize("labels", [(0, 1, 3), (-1, 0, 2)])
def test_labels_without_an_output_are_a_config_error(labels: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"run from {min(labels)} to {max(labels)}.*\[1, 3\]"):
        small.learner(samples(), samples(labels=labels), LearnerSetup())


def test_no_training_rows_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="no training rows"):
        small.learner(samples().take(np.arange(0)), samples(), LearnerSetup())


def test_no_test_rows_are_allowed() -> None:
    learner = small.learner(samples(), samples().take(np.arange(0)), LearnerSetup())
    evaluation = learner.evaluate(learner.initial())

    assert (evaluation.count, evaluation.loss_sum) == (0, 0.0)
    assert evaluation.confusion.shape == (3, 3)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "CPU", "cuda:x"])
def test_an_unknown_device_is_a_config_error(device: str) -> None:
    with pytest.raises(ConfigError, match="known: cpu, cuda"):
        check_device(device)


def test_a_missing_cuda_device_is_a_config_error_that_says_what_torch_sees() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"

    with pytest.raises(ConfigError, match=f"'{missing}' is not available: torch .* sees") as caught:
        digits.learner(samples(), samples(), LearnerSetup(device=missing))
    assert 'device = "cpu"' in caught.value.fix
