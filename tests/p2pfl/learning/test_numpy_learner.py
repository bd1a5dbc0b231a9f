import subprocess
import sys

import numpy as np
import pytest

from p2pfl.data.dataset import Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.numpy_learner import NumpyLearner, digits_softmax
from p2pfl.model import Model


def learner(rows: int = 64, **options: int) -> NumpyLearner:
    dataset = digits_softmax.dataset()
    return digits_softmax(**options).learner(
        dataset.train.take(np.arange(rows)), dataset.test, LearnerSetup()
    )


def test_one_full_batch_step_follows_the_gradient_of_the_loss_by_finite_differences() -> None:
    dataset = digits_softmax.dataset()
    rows = dataset.train.take(np.arange(32))
    trainer = digits_softmax(batch_size=32, local_steps=1, step=1.0).learner(rows, rows, LearnerSetup())
    model = trainer.initial()
    trained, _ = trainer.train(model, {})
    gradient = model.params - trained.params

    for place in (0, 20 * 10 + 3, 42 * 10 + 7, 640, 649):
        shifts = []
        for epsilon in (0.05, -0.05):
            moved = model.params.copy()
            moved[place] += epsilon
            shifts.append(trainer.evaluate(Model(moved)).loss)
        assert (shifts[0] - shifts[1]) / 0.1 == pytest.approx(gradient[place], abs=2e-4)


def test_softmax_regression_reaches_nine_in_ten_of_all_digits() -> None:
    dataset = digits_softmax.dataset()
    trainer = digits_softmax.learner(dataset.train, dataset.test, LearnerSetup(rounds=10))
    model = trainer.initial()
    for _ in range(10):
        model, _ = trainer.train(model, {})

    assert trainer.evaluate(model).accuracy > 0.93


def test_a_model_that_is_no_longer_finite_is_returned_and_evaluated_without_a_warning() -> None:
    trainer = learner()
    broken = Model(np.full(650, np.inf, dtype=np.float32))

    model, _ = trainer.train(broken, {})

    assert model.age == 1
    assert np.isnan(trainer.evaluate(model).loss)


def test_a_daemon_with_this_task_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys; from p2pfl.learning.numpy_learner import digits_softmax as t; "
        "from p2pfl.learning.learner import LearnerSetup; d = t.dataset(); "
        "l = t.learner(d.train, d.test, LearnerSetup()); l.evaluate(l.train(l.initial(), {})[0]); "
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"torch", "sklearn", "scipy"} & set(loaded.stdout.split())


def test_rows_that_do_not_fit_the_task_are_refused() -> None:
    wide = Samples(np.zeros((3, 5), dtype=np.float32), np.zeros(3, dtype=np.int64))
    many = Samples(np.zeros((3, 64), dtype=np.float32), np.array([0, 1, 10]))

    for samples in (wide, many):
        with pytest.raises(ConfigError, match="takes rows of 64 values with labels below 10"):
            digits_softmax.learner(samples, samples, LearnerSetup())


def test_only_the_cpu_is_offered() -> None:
    dataset = digits_softmax.dataset()
    with pytest.raises(ConfigError, match="runs on cpu, not 'cuda'"):
        digits_softmax.learner(dataset.train, dataset.test, LearnerSetup(device="cuda"))
