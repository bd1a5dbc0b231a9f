"""The engine of virtual time: every node a ``p2pfl.node.Node``, as in the daemon."""

from dataclasses import replace
from functools import partial

from p2pfl.errors import ConfigError
from p2pfl.events import Adopt
from simulations.course import Course, stacked
from simulations.event_simulator import EventSimulator
from simulations.faults import strike
from simulations.gossip import make_gossip_swarm
from simulations.result import Result
from simulations.setting import Setting
from simulations.swarm import Swarm, make_swarm
from simulations.training import by_swarm


def check_event(setting: Setting) -> None:
    """Refuse what has no place in virtual time, naming its key."""
    if setting.is_double:
        raise ConfigError(
            "models travel as float32", where="dtype", fix='dtype = "float32", or engine = "vectorised"'
        )
    setting.faults.check_virtual()
    setting.faults.triggers(setting.rounds)


def run_event(setting: Setting, evaluate_every: int) -> Result:
    """Every node a ``p2pfl.node.Node``, in virtual time."""
    members = setting.members
    numbers = {member: number for number, member in enumerate(members)}
    course = Course(setting, evaluate_every)
    triggers = setting.faults.triggers(setting.rounds)

    def watch(member: str, adopt: Adopt, now_s: float) -> None:
        sent = simulator.bytes_sent
        course.adopted(numbers[member], adopt.round, model=adopt.model, time_s=now_s, bytes_sent=sent)
        for verb, node in triggers.done(numbers[member], adopt.round):
            strike(simulator, members[node], verb)

    down = frozenset(members[node] for node in setting.faults.down)
    simulator = EventSimulator(
        _swarm(setting, down),
        train=by_swarm(setting.learner, numbers),
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
        accuracy=course.rows,
        final=final,
        models=stacked(models),
        bytes_sent=simulator.bytes_sent,
        messages_sent=sum(simulator.message_counts.values()),
        virtual_seconds=simulator.now_s,
        by_round=course.by_round,
    )


def _swarm(setting: Setting, down: frozenset[str]) -> Swarm:
    make = make_swarm
    if setting.membership is not None:
        make = partial(make_gossip_swarm, gossip=replace(setting.membership, late=down))
    return make(
        setting.members,
        setting.lists or setting.schedule,
        setting.make_counted,
        models=dict.fromkeys(setting.members, setting.initial),
        rounds=setting.rounds,
        aggregate=setting.setup(0).aggregate,
        seed=setting.seed,
    )
