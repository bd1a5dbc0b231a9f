import numpy as np

from p2pfl.learning.baselines import train_alone
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.numpy_learner import digits_softmax


def test_training_alone_is_that_many_local_updates_from_the_initial_model() -> None:
    dataset = digits_softmax.dataset()
    learner = digits_softmax.learner(dataset.train.take(np.arange(50)), dataset.test, LearnerSetup(rounds=3))
    expected = learner.initial()
    for _ in range(3):
        expected, _ = learner.train(expected, {})

    alone = train_alone(learner, 3)

    assert alone.age == 3
    assert alone.params.tobytes() == expected.params.tobytes()
    assert train_alone(learner, 0).params.tobytes() == learner.initial().params.tobytes()
