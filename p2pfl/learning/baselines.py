"""What learning together is compared with: the same training without any exchange."""

from p2pfl.learning.learner import Learner, TrainingState
from p2pfl.model import Model


def train_alone(learner: Learner, rounds: int) -> Model:
    """``rounds`` local updates from the initial model: a node alone, or, on all rows, pooled training."""
    model = learner.initial()
    state: TrainingState = {}
    for _ in range(rounds):
        model, state = learner.train(model, state)
    return model
