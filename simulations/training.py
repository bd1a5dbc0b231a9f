"""How ``Train`` effects are answered in a simulation: all that are under way in one call.

A training starts from a model that is fixed, and its result is needed when its virtual time is over, no
earlier.  So nothing is computed until the first result is due, and then everything that has begun.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from p2pfl.events import Train
from p2pfl.finiteness import is_finite_model
from p2pfl.learning.learner import Learner, TrainingState
from p2pfl.learning.swarm_learner import SwarmLearner, Training
from p2pfl.model import Model
from simulations.hosts import Host


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A local update that a member has asked for, and what it kept of those before."""

    member: str
    request: Train
    state: TrainingState


Answer: TypeAlias = tuple[Model, TrainingState]  # the trained model, what is kept
Trainer: TypeAlias = Callable[[Sequence[Asked]], Sequence[Answer]]  # answers in the order of what was asked


class Trainings:
    """Local updates under way."""

    def __init__(self, train: Trainer) -> None:
        self._train = train
        self._begun: dict[Host, Train] = {}
        self._done: dict[Host, Answer] = {}

    def begin(self, host: Host, request: Train) -> None:
        """A process trains; it has no other training under way."""
        self._begun[host] = request

    def end(self, host: Host) -> Answer:
        """What comes out of it; the state is put back with a model that is none, as in a daemon."""
        if host not in self._done:
            self._compute()
        model, state = self._done.pop(host)
        return model, state if is_finite_model(model) else host.state

    def _compute(self) -> None:
        """Of all that have begun; what processes have left behind that are down is forgotten."""
        hosts = [host for host in self._begun if host.is_up]
        asked = [Asked(host.member, self._begun[host], host.state) for host in hosts]
        self._begun.clear()
        self._done = {host: answer for host, answer in self._done.items() if host.is_up}
        self._done.update(zip(hosts, self._train(asked), strict=True))


def by_swarm(learner: SwarmLearner, numbers: Mapping[str, int]) -> Trainer:
    """All members train with one learner; ``numbers`` says which node a member is."""

    def train(asked: Sequence[Asked]) -> Sequence[Answer]:
        return learner.train(
            [
                Training(numbers[one.member], one.request.model, one.state, one.request.gradient_offset)
                for one in asked
            ]
        )

    return train


def by_learners(learners: Mapping[str, Learner]) -> Trainer:
    """Each member trains with its own learner."""

    def train(asked: Sequence[Asked]) -> Sequence[Answer]:
        return [
            learners[one.member].train(
                one.request.model, one.state, gradient_offset=one.request.gradient_offset
            )
            for one in asked
        ]

    return train


def by_function(function: Callable[[str, Model], Model]) -> Trainer:
    """Training is a function of member and model; it makes the age one higher itself."""

    def train(asked: Sequence[Asked]) -> Sequence[Answer]:
        return [(function(one.member, one.request.model), one.state) for one in asked]

    return train


def add_one(member: str, model: Model) -> Model:  # noqa: ARG001
    """The simplest training: every parameter grows by one, and so counts the updates behind it."""
    return Model(model.params + 1, model.age + 1, model.weight)
