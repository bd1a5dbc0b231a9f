"""The three engines of an experiment: virtual time, arrays, real daemons.  All give a ``Result``."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from p2pfl.errors import ConfigError, unknown_name
from p2pfl.events import Adopt
from p2pfl.learning.learner import TrainingState
from p2pfl.model import Model
from simulations.compute import Compute
from simulations.course import Course, stacked
from simulations.event_simulator import EventSimulator
from simulations.faults import Faults
from simulations.gossip import make_gossip_swarm
from simulations.homes import Deployment
from simulations.network import Network
from simulations.processes import Processes
from simulations.result import Evaluated, Result
from simulations.setting import Setting
from simulations.swarm import Swarm, make_swarm
from simulations.token_paths import PATHS, token_messages
from simulations.training import by_learners
from simulations.vectorised import Rows, TrainAll, Weights, gossip_averaging, walk
from simulations.vectorised_push_sum import push_shares, push_sum

PROCESSES_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a recursion on arrays would have sent: messages, and their size in models."""

    messages: int
    models: int


# (setting, X, training) -> (the models in the end, what was sent)
Mix: TypeAlias = Callable[[Setting, Rows, TrainAll], tuple[Rows, Traffic]]


def run_event(setting: Setting, evaluate_every: int) -> Result:
    """Every node a ``p2pfl.node.Node``, in virtual time."""
    members = setting.members
    numbers = {member: number for number, member in enumerate(members)}
    course = Course(setting.learners, evaluate_every)

    def watch(member: str, adopt: Adopt, now_s: float) -> None:
        course.adopted(numbers[member], adopt.round, model=adopt.model, time_s=now_s)

    down = frozenset(members[node] for node in setting.faults.down)
    simulator = EventSimulator(
        _swarm(setting, down),
        train=by_learners(dict(zip(members, setting.learners, strict=True))),
        network=setting.network,
        seed=setting.seed,
        compute_s=setting.compute,
        down=down,
        watch=watch,
    )
    setting.faults.schedule(simulator, seed=setting.seed)
    simulator.run()
    models = [simulator.models.get(member, setting.initial) for member in members]
    final = course.final(models, [simulator.rounds.get(member, 0) for member in members])
    return Result(
        engine="event",
        seed=setting.seed,
        rounds=setting.rounds,
        accuracy=tuple(course.rows),
        final=final,
        models=stacked(models),
        bytes_sent=sum(simulator.byte_counts.values()),
        messages_sent=sum(simulator.message_counts.values()),
        virtual_seconds=simulator.now_s,
    )


def _swarm(setting: Setting, down: frozenset[str]) -> Swarm:
    make = make_swarm
    if setting.membership is not None:
        make = partial(make_gossip_swarm, gossip=replace(setting.membership, late=down))
    return make(
        setting.members,
        setting.schedule,
        setting.make_counted,
        models=dict.fromkeys(setting.members, setting.initial),
        rounds=setting.rounds,
        aggregate=setting.setup(0).aggregate,
        seed=setting.seed,
    )


def run_vectorised(setting: Setting, evaluate_every: int) -> Result:
    """The mathematics: no messages, hence perfect links only."""
    _check_undisturbed(setting, "the vectorised engine has no virtual time")
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


def run_processes(setting: Setting, evaluate_every: int) -> Result:  # noqa: ARG001
    """Real daemons on this machine, which evaluate every round; perfect networks are the machine's own."""
    _check_undisturbed(setting, "real daemons live in real time")
    if setting.task is None:
        raise ConfigError("daemons need a task by name", where="task", fix='task = "my_lab.flowers:task"')
    deployment = Deployment(
        graph=setting.schedule.graph(0),
        protocol=setting.protocol.table(),
        rounds=setting.rounds,
        task=setting.task.table(),
        partition=setting.partition.table(),
        seed=setting.seed,
    )
    with Processes(deployment) as processes:
        processes.start()
        processes.wait_done(timeout_s=PROCESSES_TIMEOUT_S)
        sent = [_whole(processes.ask(i, "status")["bytes_sent"]) for i in range(setting.nodes)]
        processes.stop_all()
        models = processes.models()
        rows = [row for daemon in processes.daemons for row in _rows(daemon.number, daemon.records)]
    return Result(
        engine="processes",
        seed=setting.seed,
        rounds=setting.rounds,
        accuracy=tuple(rows),
        final=tuple({row.node: row for row in rows}.values()),
        models=models,
        bytes_sent=sum(sent),
        messages_sent=sum(sent) // models[0].nbytes,
        virtual_seconds=None,
    )


def _check_undisturbed(setting: Setting, why: str) -> None:
    """Refuse what only virtual time can do, naming its key."""
    for key, is_asked_for in (
        ("network", setting.network != Network()),
        ("faults", setting.faults != Faults()),
        ("membership", setting.membership is not None),
        ("compute", setting.compute != Compute()),
    ):
        if is_asked_for:
            raise ConfigError(f"{why}: no {key}", where=key, fix=f'engine = "event", or no {key}')


def _gossip(setting: Setting, X: Rows, train: TrainAll) -> tuple[Rows, Traffic]:
    edges = sum(_edges(setting, done) for done in range(setting.rounds))
    return gossip_averaging(X, setting.schedule.weights, setting.rounds, train=train), Traffic(edges, edges)


def _push(setting: Setting, X: Rows, train: TrainAll) -> tuple[Rows, Traffic]:
    """Twice the bytes: totals are float64.  Words are not counted."""
    options = dict(setting.protocol.options)
    mixing = int(str(options.get("mixing_rounds", 2)))
    rows = np.array(setting.samples, np.float64) if options.get("weighting") == "samples" else None
    pushes = mixing * sum(_edges(setting, done) for done in range(setting.rounds))

    def shares(round: int) -> Weights:
        found: Weights = push_shares(setting.schedule.weights(round))
        return found

    z = push_sum(X, shares, setting.rounds, train=train, mixing_rounds=mixing, weights=rows)
    return z, Traffic(pushes, 2 * pushes)


def _averaged(setting: Setting, evaluate_every: int, mix: Mix) -> Result:
    course = Course(setting.learners, evaluate_every)
    states: list[TrainingState] = [{} for _ in setting.learners]

    def train(X: Rows, round: int) -> Rows:
        if round:
            adopted(X, round)
        trained = np.empty_like(X)
        for i, learner in enumerate(setting.learners):
            model, states[i] = learner.train(Model(X[i].astype(np.float32, copy=False), round), states[i])
            trained[i] = model.params
        return trained

    def adopted(X: Rows, round: int) -> None:
        for i, row in enumerate(X):
            course.adopted(i, round, model=Model(row.astype(np.float32, copy=False), round), time_s=None)

    start = stacked([setting.initial] * setting.nodes)
    mixed, traffic = mix(setting, start, train)
    adopted(mixed, setting.rounds)
    models = [Model(row.astype(np.float32, copy=False), setting.rounds) for row in mixed]
    return _result(setting, course, models, messages=traffic.messages, with_model=traffic.models)


def _walked(setting: Setting, evaluate_every: int) -> Result:
    course = Course(setting.learners, evaluate_every)
    states: list[TrainingState] = [{} for _ in setting.learners]
    path = PATHS[setting.protocol.name](setting)

    def train(node: int, x: Rows, age: int) -> Rows:
        given = Model(x.astype(np.float32, copy=False), age)
        model, states[node] = setting.learners[node].train(given, states[node])
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
        accuracy=tuple(course.rows),
        final=final,
        models=stacked(models),
        bytes_sent=with_model * setting.initial.params.nbytes,
        messages_sent=messages,
        virtual_seconds=None,
    )


def _edges(setting: Setting, round: int) -> int:
    """Messages of a round of averaging: entries of W beside the diagonal."""
    W = setting.schedule.weights(round)
    entries = np.count_nonzero(W) if isinstance(W, np.ndarray) else W.count_nonzero()
    return int(entries) - int(np.count_nonzero(W.diagonal()))


def _rows(node: int, records: Iterable[Mapping[str, object]]) -> list[Evaluated]:
    return [_row(node, record) for record in records if record.get("event") == "round.done"]


def _row(node: int, record: Mapping[str, object]) -> Evaluated:
    figures = [record[key] for key in ("accuracy", "macro_f1", "loss")]
    accuracy, macro_f1, loss = (float(figure) for figure in figures if isinstance(figure, int | float))
    return Evaluated(node, _whole(record["round"]), None, accuracy, macro_f1, loss)


def _whole(found: object) -> int:
    if not isinstance(found, int):
        raise ConfigError(f"a daemon has reported {found!r} where a whole number belongs")
    return found
