"""How a ``Train`` effect is answered in a simulation: by learners, or by a plain function."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from p2pfl.events import Train
from p2pfl.learning.learner import Learner, TrainingState
from p2pfl.model import Model

# (member, request, its training state) -> (the trained model, the next state)
Trainer: TypeAlias = Callable[[str, Train, TrainingState], tuple[Model, TrainingState]]


def by_learners(learners: Mapping[str, Learner]) -> Trainer:
    """Each member trains with its own learner."""

    def train(member: str, request: Train, state: TrainingState) -> tuple[Model, TrainingState]:
        return learners[member].train(request.model, state, gradient_offset=request.gradient_offset)

    return train


def by_function(function: Callable[[str, Model], Model]) -> Trainer:
    """Training is a function of member and model; it makes the age one higher itself."""

    def train(member: str, request: Train, state: TrainingState) -> tuple[Model, TrainingState]:
        return function(member, request.model), state

    return train


def add_one(member: str, model: Model) -> Model:  # noqa: ARG001
    """The simplest training: every parameter grows by one, and so counts the updates behind it."""
    return Model(model.params + 1, model.age + 1, model.weight)
