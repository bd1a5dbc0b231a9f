import numpy as np
import pytest

from p2pfl.learning.numpy_learner import digits_softmax
from p2pfl.learning.tasks import digits
from simulations.scenarios.fedavg_equivalence import differences
from simulations.scenarios.federated_averaging import FederatedAveraging


@pytest.mark.parametrize("fraction", [1.0, 0.4])
def test_both_engines_give_the_models_of_a_server(fraction: float) -> None:
    found, accuracy = differences(digits_softmax(local_epochs=2), fraction, 3)

    assert max(found) < 1e-5
    assert accuracy > 0.3  # guessing: 0.1


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 5])
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.2])
def test_they_do_so_also_for_a_multilayer_perceptron(epochs: int, fraction: float) -> None:
    found, _ = differences(digits(local_epochs=epochs), fraction)

    assert max(found) < 1e-5


def test_who_takes_part_is_drawn_anew_each_round_and_weighted_by_samples() -> None:
    plan = FederatedAveraging((10, 20, 30, 40), 0.5)
    drawn = {tuple(plan.participants(done)) for done in range(40)}
    assert {len(each) for each in drawn} == {2}
    assert len(drawn) == 6
    for done in range(5):
        heard, W = plan.participants(done), plan.weights(done)
        assert np.array_equal(W, np.tile(W[0], (4, 1)))
        shares = np.array(plan.samples)[heard] / sum(plan.samples[node] for node in heard)
        assert W[0, heard] == pytest.approx(shares)
        assert W.sum(axis=1) == pytest.approx(np.ones(4))
    assert FederatedAveraging((1, 1, 1), 0.01).participants(0) in ([0], [1], [2])
