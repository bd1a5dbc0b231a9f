from pathlib import Path

import numpy as np
import pytest
from torch import nn

from p2pfl import registry
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.file_task import FileTask
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.tasks import idx
from tests.p2pfl.data.small_files import write_idx


def counting_task() -> tuple[FileTask, list[str]]:
    """A task whose files are counted when they are read."""
    read: list[str] = []

    def dataset(*, path: str, rows: int = 8) -> Dataset:
        read.append(path)
        samples = Samples(np.eye(rows, dtype=np.float32), np.arange(rows) % 2)
        return Dataset(train=samples, test=samples, classes=2)

    def module(dataset: Dataset, *, hidden: int = 3) -> nn.Module:
        features = dataset.train.inputs.shape[1]
        return nn.Sequential(nn.Linear(features, hidden), nn.Linear(hidden, dataset.classes))

    return FileTask("counting", dataset=dataset, module=module, training={"step": 0.7}), read


def test_the_options_are_those_of_data_module_and_training() -> None:
    make, _ = counting_task()
    options = {"path": "a", "rows": 4, "hidden": 2, "batch_size": 8, "optimizer": "adam"}

    registry.check_options("task", "counting", make, options=options)
    with pytest.raises(ConfigError, match="known: batch_size, hidden, local_epochs, local_steps, momentum"):
        registry.check_options("task", "counting", make, options={"pth": "a"})


def test_each_part_gets_its_options_and_the_training_its_own_defaults() -> None:
    make, _ = counting_task()
    task = make(path="a", rows=6, hidden=5, batch_size=2)
    data = task.dataset()
    learner = task.learner(data.train, data.test, LearnerSetup())

    assert (len(data.train), task.batch_size, task.step) == (6, 2, 0.7)
    assert learner.schema.parameters == 6 * 5 + 5 + 5 * 2 + 2
    assert make(path="a", step=0.2).step == 0.2


def test_the_files_are_read_when_they_are_first_asked_for_and_once() -> None:
    make, read = counting_task()
    task = make(path="a")
    assert read == []
    data = task.dataset()
    for number in range(3):
        task.learner(data.train, data.test, LearnerSetup(number=number))
    assert read == ["a"]


def test_a_task_without_its_path_says_so() -> None:
    with pytest.raises(ConfigError, match="task 'idx' needs the option 'path'") as caught:
        idx()
    assert caught.value.fix == 'path = "…" in the section [task]'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "resnet"}, "model must be one of cnn, mlp, softmax, not 'resnet'"),
        ({"hidden": 0}, "hidden must be a whole number from 1, not 0"),
    ],
)
def test_wrong_values_of_the_module_are_named(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    task = idx(path=str(write_idx(tmp_path, train=20, test=8)), **options)
    data = task.dataset()

    with pytest.raises(ConfigError, match=message):
        task.learner(data.train, data.test, LearnerSetup())
