"""The engine of real daemons on this machine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from p2pfl.errors import ConfigError
from p2pfl.model import Model
from simulations.course import Course, stacked
from simulations.daemons import Daemon
from simulations.disturbances import Disturbances
from simulations.faults import Faults
from simulations.gossip import Gossip
from simulations.homes import Deployment
from simulations.processes import Processes
from simulations.result import Result
from simulations.result_rows import Evaluated
from simulations.setting import Setting, check_undisturbed
from topologies.schedules import Static

PROCESSES_TIMEOUT_S = 3600.0
ATTENTIVE_S = 0.01  # between looks at the journals, while faults are to come


def check_processes(setting: Setting) -> None:
    """Refuse what daemons cannot do, naming its key."""
    _deployment(setting, 1)


def run_processes(setting: Setting, evaluate_every: int) -> Result:
    """Real daemons on this machine, disturbed at rounds if asked; the network is the machine's own."""
    deployment = _deployment(setting, evaluate_every)
    total = setting.nodes * setting.rounds
    with Processes(deployment) as processes:
        disturbances = Disturbances(processes, setting.faults.triggers(setting.rounds))

        def look(daemons: Sequence[Daemon]) -> None:
            disturbances.look()
            setting.report(sum(daemon.round for daemon in daemons), total)

        processes.start([i for i in range(setting.nodes) if i not in deployment.late])
        processes.wait(
            lambda: disturbances.are_over_for_all,
            timeout_s=PROCESSES_TIMEOUT_S,
            on_poll=look,
            poll_s=ATTENTIVE_S if setting.faults.by_round else None,
        )
        memory = processes.memory_bytes()
        processes.stop_all()
        daemons = processes.daemons
        stored = [daemon.newest() or (0, setting.initial.params) for daemon in daemons]
        judged = daemons if setting.evaluated is None else [daemons[i] for i in sorted(setting.evaluated)]
        rows = [row for daemon in judged for row in _rows(daemon.number, daemon.records)]
        sent = [(daemon.bytes_sent, daemon.messages_sent) for daemon in daemons]
    models = [Model(params, done) for done, params in stored]
    return Result(
        engine="processes",
        seed=setting.seed,
        rounds=setting.rounds,
        accuracy=tuple(rows),
        final=Course(setting, evaluate_every).final(models, [done for done, _ in stored]),
        models=stacked(models),
        bytes_sent=sum(count for count, _ in sent),
        messages_sent=sum(messages for _, messages in sent),
        virtual_seconds=None,
        memory_bytes=memory,
    )


def _deployment(setting: Setting, evaluate_every: int) -> Deployment:
    """What the daemons are told; raises ConfigError, naming the key, for what they cannot do."""
    setting.faults.check_real()
    setting.faults.triggers(setting.rounds)
    # The membership of daemons is by rumours, with its own periods.
    membership = None if setting.membership == Gossip() else setting.membership
    undisturbed = replace(setting, faults=Faults(), membership=membership)
    check_undisturbed(undisturbed, "real daemons live in real time")
    if setting.is_double:
        raise ConfigError(
            "models travel as float32", where="dtype", fix='dtype = "float32", or engine = "vectorised"'
        )
    if setting.lists is not None:
        raise ConfigError(
            "the daemons of an experiment trust whoever reaches them, on this computer alone",
            where="trust",
            fix='trust = "open", or engine = "event"',
        )
    if setting.task is None:
        raise ConfigError("daemons need a task by name", where="task", fix='task = "my_lab.flowers:task"')
    if not isinstance(setting.schedule, Static):
        raise ConfigError(
            "daemons have the same graph in every round", where="topology", fix='a graph, or engine = "event"'
        )
    return Deployment(
        graph=setting.schedule.graph(0),
        protocol=setting.protocol.table(),
        rounds=setting.rounds,
        task=setting.task.table(),
        partition=setting.partition.table(),
        seed=setting.seed,
        device=setting.device,
        evaluate_every=evaluate_every,
        late=setting.faults.down,
    )


def _rows(node: int, records: Iterable[Mapping[str, object]]) -> Iterable[Evaluated]:
    for record in records:
        match record:
            case {
                "event": "round.done",
                "round": int(done),
                "accuracy": float(accuracy),
                "macro_f1": float(macro_f1),
                "loss": float(loss),
            }:
                yield Evaluated(node, done, None, accuracy, macro_f1, loss)
