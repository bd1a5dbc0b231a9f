"""What holds for the learner of every registered task."""

from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
import pytest

from p2pfl import registry
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import Learner, LearnerSetup, LearningTask, TrainingState
from p2pfl.model import Model
from tests.p2pfl.data.small_files import options_of

ROWS = 60
EVERY_TASK = pytest.mark.parametrize("name", registry.names("task"))


FILES: dict[str, dict[str, object]] = {}  # options of tasks on files, which are written for this module


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    FILES.update(options_of(tmp_path_factory.mktemp("files")))


def task_of(name: str, **options: object) -> LearningTask:
    make = cast("Callable[..., LearningTask]", registry.resolve("task", name))
    return make(**FILES.get(name, {}), **options)


@cache
def dataset_of(name: str) -> Dataset:
    return task_of(name).dataset()


def learner_of(name: str, setup: LearnerSetup | None = None, *, first: int = 0) -> Learner:
    dataset = dataset_of(name)
    rows = np.arange(first, first + ROWS)
    return task_of(name).learner(dataset.train.take(rows), dataset.test, setup or LearnerSetup())


@EVERY_TASK
def test_its_test_rows_are_not_among_its_training_rows(name: str) -> None:
    dataset = dataset_of(name)
    train = {row.tobytes() for row in dataset.train.inputs}

    assert not any(row.tobytes() in train for row in dataset.test.inputs)


@EVERY_TASK
def test_the_initial_model_is_the_same_at_every_node_and_another_for_another_seed(name: str) -> None:
    at_one, at_two = (
        learner_of(name, LearnerSetup(seed=1, number=n), first=100 * n).initial() for n in (1, 2)
    )
    other = learner_of(name, LearnerSetup(seed=2, number=1)).initial()

    assert at_one.params.tobytes() == at_two.params.tobytes()
    assert at_one.params.tobytes() != other.params.tobytes()
    assert (at_one.age, at_one.weight) == (0, 1.0)
    assert at_one.params.dtype == np.float32


@EVERY_TASK
def test_the_vector_is_as_long_as_the_schema_says(name: str) -> None:
    learner = learner_of(name)

    assert learner.initial().params.shape == (learner.schema.parameters,)


@EVERY_TASK
def test_training_makes_the_model_one_older_and_keeps_its_weight(name: str) -> None:
    learner = learner_of(name)
    model, _ = learner.train(Model(learner.initial().params, age=4, weight=0.25), {})

    assert (model.age, model.weight) == (5, 0.25)
    assert model.params.dtype == np.float32


@EVERY_TASK
def test_equal_addresses_give_equal_bytes_and_another_number_or_age_other_ones(name: str) -> None:
    initial = learner_of(name).initial()

    def trained(*, seed: int = 0, number: int = 0, age: int = 0) -> bytes:
        learner = learner_of(name, LearnerSetup(seed=seed, number=number))
        return learner.train(Model(initial.params, age), {})[0].params.tobytes()

    assert trained() == trained()
    assert len({trained(), trained(seed=1), trained(number=1), trained(age=1)}) == 4


@EVERY_TASK
def test_a_model_that_was_given_or_handed_out_never_changes(name: str) -> None:
    learner = learner_of(name)
    given = learner.initial()
    given.params.setflags(write=False)  # as a received one may be
    first, state = learner.train(given, {})
    copies = given.params.copy(), first.params.copy(), learner.initial().params.copy()

    second, _ = learner.train(first, state)
    learner.evaluate(second)

    for model, copy in zip((given, first, learner.initial()), copies, strict=True):
        assert model.params.tobytes() == copy.tobytes()
    assert not np.shares_memory(first.params, second.params)
    assert not np.shares_memory(learner.initial().params, learner.initial().params)


@EVERY_TASK
def test_the_step_decays_to_nothing_at_the_end_of_the_budget_and_never_without_one(name: str) -> None:
    learner, endless = learner_of(name, LearnerSetup(rounds=10)), learner_of(name, LearnerSetup(rounds=0))
    params = learner.initial().params

    def change(learner: Learner, age: int) -> float:
        return float(np.abs(learner.train(Model(params, age), {})[0].params - params).sum())

    assert change(learner, 0) > 2 * change(learner, 8) > 0
    assert change(learner, 10) == change(learner, 12) == 0
    assert change(endless, 1000) > change(endless, 0) / 2


@EVERY_TASK
def test_an_offset_of_zero_changes_nothing_and_another_one_does(name: str) -> None:
    learner = learner_of(name)
    initial = learner.initial()
    plain, _ = learner.train(initial, {})
    zero, _ = learner.train(initial, {}, gradient_offset=np.zeros_like(initial.params))
    shifted, _ = learner.train(initial, {}, gradient_offset=np.ones_like(initial.params))

    assert plain.params.tobytes() == zero.params.tobytes()
    assert (shifted.params - plain.params).mean() < -0.1


@EVERY_TASK
def test_the_loss_falls_after_each_merge_and_the_merged_model_is_the_one_trained(name: str) -> None:
    # T7: an optimiser that points at replaced parameters trains a model that nobody serves.
    learners = [learner_of(name, LearnerSetup(number=n)) for n in range(2)]
    merged = learners[0].initial()
    states: list[TrainingState] = [{}, {}]
    for _ in range(3):
        before = learners[0].evaluate(merged).loss
        answers = [learner.train(merged, state) for learner, state in zip(learners, states, strict=True)]
        states = [state for _, state in answers]
        one, two = (model for model, _ in answers)
        merged = Model((one.params + two.params) / np.float32(2), one.age)
        assert learners[0].evaluate(merged).loss < before


@EVERY_TASK
def test_the_counts_cover_every_test_row_by_its_true_class(name: str) -> None:
    learner, test = learner_of(name), dataset_of(name).test
    evaluation = learner.evaluate(learner.initial())

    assert evaluation.confusion.dtype == np.int64
    np.testing.assert_array_equal(
        evaluation.confusion.sum(axis=1), np.bincount(test.labels, minlength=len(evaluation.confusion))
    )


@EVERY_TASK
def test_counts_of_two_nodes_sum_to_those_of_all_test_rows(name: str) -> None:
    dataset, task = dataset_of(name), task_of(name)
    rows = np.arange(len(dataset.test))
    parts = [rows, rows[::2], rows[1::2]]
    whole, *halves = (task.learner(dataset.train, dataset.test.take(part), LearnerSetup()) for part in parts)
    model = whole.initial()

    pooled = whole.evaluate(model)
    summed = halves[0].evaluate(model) + halves[1].evaluate(model)

    np.testing.assert_array_equal(summed.confusion, pooled.confusion)
    assert summed.loss_sum == pytest.approx(pooled.loss_sum, rel=1e-5)
    assert summed.macro_f1 == pooled.macro_f1


@EVERY_TASK
def test_poisoned_labels_train_another_model(name: str) -> None:
    # T10: an attack that does not reach the batches proves nothing about a defence.
    dataset = dataset_of(name)
    clean = dataset.train.take(np.arange(ROWS))
    poisoned = Samples(clean.inputs, (clean.labels + 1) % dataset.classes)
    one, two = (task_of(name).learner(rows, dataset.test, LearnerSetup()) for rows in (clean, poisoned))

    assert (
        one.train(one.initial(), {})[0].params.tobytes() != two.train(two.initial(), {})[0].params.tobytes()
    )


@EVERY_TASK
def test_its_options_are_checked_by_name_and_by_value(name: str) -> None:
    item = cast("Callable[..., object]", registry.resolve("task", name))

    registry.check_options("task", name, item, options={"step": 0.1, "batch_size": 8, "local_epochs": 1})
    with pytest.raises(ConfigError, match=r"'colour'; known: .*batch_size"):
        registry.check_options("task", name, item, options={"colour": 1})
    with pytest.raises(ConfigError, match="batch_size must be a whole number from 1, not 0"):
        task_of(name, batch_size=0)


@EVERY_TASK
def test_a_device_that_is_not_there_is_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        learner_of(name, LearnerSetup(device="cuda:99"))
    assert caught.value.where == "node.device"
