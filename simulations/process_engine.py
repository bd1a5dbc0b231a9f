"""The engine of real daemons on this machine."""

from collections.abc import Iterable, Mapping

from p2pfl.errors import ConfigError
from simulations.homes import Deployment
from simulations.processes import Processes
from simulations.result import Result
from simulations.result_rows import Evaluated
from simulations.setting import Setting, check_undisturbed

PROCESSES_TIMEOUT_S = 3600.0


def run_processes(setting: Setting, evaluate_every: int) -> Result:  # noqa: ARG001
    """Real daemons on this machine, which evaluate every round; perfect networks are the machine's own."""
    check_undisturbed(setting, "real daemons live in real time")
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
        total = setting.nodes * setting.rounds
        processes.wait_done(
            timeout_s=PROCESSES_TIMEOUT_S,
            on_poll=lambda daemons: setting.report(sum(daemon.round for daemon in daemons), total),
        )
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
