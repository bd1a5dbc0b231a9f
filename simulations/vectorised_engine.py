"""The engine of arrays: the mathematics of a protocol, no messages, hence perfect links only."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np

from p2pfl.errors import unknown_name
from p2pfl.learning.learner import TrainingState
from p2pfl.learning.swarm_learner import Training
from p2pfl.model import Model
from simulations.course import Course, stacked
from simulations.result import Result
from simulations.setting import Setting, check_undisturbed
from simulations.token_paths import PATHS, token_messages
from simulations.vectorised import Rows, TrainAll, Weights, gossip_averaging, walk
from simulations.vectorised_push_sum import push_shares, push_sum


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a recursion on arrays would have sent: messages, and their size in models."""

    messages: int
    models: int
    after: tuple[int, ...]  # round 1, 2, ...: models so far


# (setting, X, training) -> (the models in the end, what was sent)
Mix: TypeAlias = Callable[[Setting, Rows, TrainAll], tuple[Rows, Traffic]]


def run_vectorised(setting: Setting, evaluate_every: int) -> Result:
    """The mathematics: no messages, hence perfect links only."""
    check_undisturbed(setting, "the vectorised engine has no virtual time")
    name = setting.protocol.name
    if name == "gossip_averaging":
        return _averaged(setting, evaluate_every, _gossip)
    if name == "push_sum":
        return _averaged(setting, evaluate_every, _push)
    if name in PATHS:
        return _walked(setting, evaluate_every)
    raise unknown_name(
        "protocol of the vectorised engine:", name, ["gossip_averaging", "push_sum", *PATHS], where="protocol"
    )


def _gossip(setting: Setting, X: Rows, train: TrainAll) -> tuple[Rows, Traffic]:
    mixed = gossip_averaging(X, setting.schedule.weights, setting.rounds, train=train)
    after = _edges_after(setting)
    return mixed, Traffic(after[-1], after[-1], after)


def _push(setting: Setting, X: Rows, train: TrainAll) -> tuple[Rows, Traffic]:
    """Twice the bytes: totals are float64.  Words are not counted."""
    options = dict(setting.protocol.options)
    mixing = int(str(options.get("mixing_rounds", 2)))
    rows = np.array(setting.samples, np.float64) if options.get("weighting") == "samples" else None
    after = tuple(mixing * edges for edges in _edges_after(setting))

    def shares(round: int) -> Weights:
        found: Weights = push_shares(setting.schedule.weights(round))
        return found

    z = push_sum(X, shares, setting.rounds, train=train, mixing_rounds=mixing, weights=rows)
    return z, Traffic(after[-1], 2 * after[-1], tuple(2 * pushes for pushes in after))


def _averaged(setting: Setting, evaluate_every: int, mix: Mix) -> Result:
    course = Course(setting, evaluate_every)
    update = setting.learner.rows_trainer()

    def train(X: Rows, round: int) -> Rows:
        if round:
            adopted(X, round)
        return update(X, round)

    def adopted(X: Rows, round: int) -> None:
        course.all_adopted(X.astype(np.float32, copy=False), round)

    dtype = np.float64 if setting.is_double else np.float32
    start: Rows = np.repeat(setting.initial.params[np.newaxis].astype(dtype), setting.nodes, axis=0)
    mixed, traffic = mix(setting, start, train)
    adopted(mixed, setting.rounds)
    course.count_bytes([models * setting.initial.params.nbytes for models in traffic.after])
    models = [Model(row.astype(np.float32, copy=False), setting.rounds) for row in mixed]
    return _result(setting, course, models, messages=traffic.messages, with_model=traffic.models)


def _walked(setting: Setting, evaluate_every: int) -> Result:
    course = Course(setting, evaluate_every)
    states: list[TrainingState] = [{} for _ in setting.samples]
    path = PATHS[setting.protocol.name](setting)

    def train(node: int, x: Rows, age: int) -> Rows:
        given = Model(x.astype(np.float32, copy=False), age)
        [(model, states[node])] = setting.learner.train([Training(node, given, states[node])])
        course.adopted(node, age + 1, model=model, time_s=None)
        return model.params

    x = walk(setting.initial.params, path, train)
    last = Model(x.astype(np.float32, copy=False), setting.rounds)
    tokens = token_messages(setting, path)
    return _result(setting, course, [last] * setting.nodes, messages=2 * tokens, with_model=tokens)


def _result(
    setting: Setting, course: Course, models: list[Model], *, messages: int, with_model: int
) -> Result:
    final = course.final(models, [setting.rounds] * setting.nodes)
    return Result(
        engine="vectorised",
        seed=setting.seed,
        rounds=setting.rounds,
        accuracy=course.rows,
        final=final,
        models=stacked(models),
        bytes_sent=with_model * setting.initial.params.nbytes,
        messages_sent=messages,
        virtual_seconds=None,
        by_round=course.by_round,
    )


def _edges_after(setting: Setting) -> tuple[int, ...]:
    """Messages of averaging so far, after round 1, 2, ..."""
    return tuple(accumulate(_edges(setting, done) for done in range(setting.rounds)))


def _edges(setting: Setting, round: int) -> int:
    """Messages of a round of averaging: entries of W beside the diagonal."""
    W = setting.schedule.weights(round)
    entries = np.count_nonzero(W) if isinstance(W, np.ndarray) else W.count_nonzero()
    return int(entries) - int(np.count_nonzero(W.diagonal()))
