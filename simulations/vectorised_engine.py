"""The engine of arrays: the mathematics of a protocol, no messages, hence perfect links only."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TypeAlias, cast

import numpy as np

from p2pfl.errors import unknown_name
from p2pfl.learning.learner import TrainingState
from p2pfl.learning.swarm_learner import LoopedLearner, Rows, Training
from p2pfl.model import Model
from p2pfl.registry import load
from simulations.course import Course
from simulations.mixing import Weights, fastest_mixing
from simulations.result import Result
from simulations.setting import Setting, check_undisturbed
from simulations.token_paths import PATHS, token_messages
from simulations.vectorised import TrainAll, gossip_averaging, walk
from simulations.vectorised_push_sum import push_shares, push_sum

AVERAGES = ("gossip_averaging", "push_sum")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a recursion on arrays would have sent: messages, and their size in models."""

    messages: int
    models: int
    after: tuple[int, ...]  # round 1, 2, ...: models so far


# (setting, course) -> the models in the end
Mix: TypeAlias = Callable[[Setting, Course], Rows]


def check_vectorised(setting: Setting) -> None:
    """Refuse what the mathematics does not know, naming its key."""
    check_undisturbed(setting, "the vectorised engine has no virtual time")
    known = [*AVERAGES, *PATHS]
    if setting.protocol.name not in known:
        raise unknown_name(
            "protocol of the vectorised engine:", setting.protocol.name, known, where="protocol"
        )


def run_vectorised(setting: Setting, evaluate_every: int) -> Result:
    """The mathematics: no messages, hence perfect links only."""
    name = setting.protocol.name
    course = Course(setting, evaluate_every)
    if name == "gossip_averaging":
        after = _edges_after(setting)
        return _averaged(setting, course, mix=_gossip, traffic=Traffic(after[-1], after[-1], after))
    if name == "push_sum":
        return _averaged(setting, course, mix=_push, traffic=_pushed(setting))
    return _walked(setting, course)


def _gossip(setting: Setting, course: Course) -> Rows:
    W = setting.schedule.weights
    if _is_on_device(setting):
        return _on_device("gossip_averaging", setting, course, W=W)
    mixing = partial(fastest_mixing, parameters=len(setting.initial.params))
    train = _training(setting, course)
    return gossip_averaging(_start(setting), W, setting.rounds, train=train, mixing=mixing)


def _push(setting: Setting, course: Course) -> Rows:
    rows = (
        np.array(setting.samples, np.float64)
        if setting.protocol.options.get("weighting") == "samples"
        else None
    )
    mixing = _mixing_rounds(setting)

    def shares(round: int) -> Weights:
        found: Weights = push_shares(setting.schedule.weights(round))
        return found

    if _is_on_device(setting):
        options = {"W": shares, "mixing_rounds": mixing, "weights": rows}
        return _on_device("push_sum", setting, course, **options)
    train = _training(setting, course)
    return push_sum(_start(setting), shares, setting.rounds, train=train, mixing_rounds=mixing, weights=rows)


def _pushed(setting: Setting) -> Traffic:
    """Twice the bytes: totals are float64.  Words are not counted."""
    after = tuple(_mixing_rounds(setting) * edges for edges in _edges_after(setting))
    return Traffic(after[-1], 2 * after[-1], tuple(2 * pushes for pushes in after))


def _mixing_rounds(setting: Setting) -> int:
    return int(str(setting.protocol.options.get("mixing_rounds", 2)))


def _training(setting: Setting, course: Course) -> TrainAll:
    """Everybody's local update; the course sees the models that the last round has left."""
    update = setting.learner.rows_trainer()

    def train(X: Rows, round: int) -> Rows:
        if round:
            course.all_adopted(X.astype(np.float32, copy=False), round)
        return update(X, round)

    return train


def _is_on_device(setting: Setting) -> bool:
    return setting.device != "cpu" and not isinstance(setting.learner, LoopedLearner)


def _on_device(name: str, setting: Setting, course: Course, **options: object) -> Rows:
    """The recursion of that name with models that stay on the device."""
    run = cast(Callable[..., Rows], load("simulations.tensors:on_device"))
    return run(name, setting.learner, _start(setting), rounds=setting.rounds, course=course, **options)


def _start(setting: Setting) -> Rows:
    """Everybody's first model, for a recursion alone: a name for it elsewhere would keep it all the run."""
    dtype = np.float64 if setting.is_double else np.float32
    start: Rows = np.repeat(setting.initial.params[np.newaxis].astype(dtype), setting.nodes, axis=0)
    return start


def _averaged(setting: Setting, course: Course, *, mix: Mix, traffic: Traffic) -> Result:
    X = mix(setting, course)
    course.all_adopted(X.astype(np.float32, copy=False), setting.rounds)
    course.count_bytes([models * setting.initial.params.nbytes for models in traffic.after])
    return _result(setting, course, X, messages=traffic.messages, with_model=traffic.models)


def _walked(setting: Setting, course: Course) -> Result:
    states: list[TrainingState] = [{} for _ in setting.samples]
    path = PATHS[setting.protocol.name](setting)

    def train(node: int, x: Rows, age: int) -> Rows:
        given = Model(x.astype(np.float32, copy=False), age)
        [(model, states[node])] = setting.learner.train([Training(node, given, states[node])])
        course.adopted(node, age + 1, model=model, time_s=None)
        return model.params

    x = walk(setting.initial.params, path, train)
    tokens = token_messages(setting, path)
    X = np.repeat(x[np.newaxis].astype(np.float32), setting.nodes, axis=0)
    return _result(setting, course, X, messages=2 * tokens, with_model=tokens)


def _result(setting: Setting, course: Course, X: Rows, *, messages: int, with_model: int) -> Result:
    models = [Model(row, setting.rounds) for row in X.astype(np.float32, copy=False)]
    final = course.final(models, [setting.rounds] * setting.nodes)
    return Result(
        engine="vectorised",
        seed=setting.seed,
        rounds=setting.rounds,
        accuracy=course.rows,
        final=final,
        models=X,
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
