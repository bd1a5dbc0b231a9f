"""``checkpoint import``: a model from elsewhere becomes what this node begins with.

Read are files of weights (safetensors, one tensor per name of the task's model, as ``export`` writes them)
and checkpoints of a node under their own names, which hold their hash.  Of a checkpoint the model is taken,
and, if it is of this plan, its round, its age and the learner's state.  The state of the protocol is made
anew in any case, as for a fresh start: what a node has sent and got belongs to its own past.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from node_daemon import assembly, checkpoint, model_file
from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.choices import check_choices
from node_daemon.config import Config
from node_daemon.files import locked
from node_daemon.output import Answer
from node_daemon.paths import Paths
from node_daemon.plan import Plan, plan_of
from node_daemon.sections import Settings
from p2pfl.errors import ConfigError, P2PError
from p2pfl.learning.learner import Schema
from p2pfl.model import Array, Checkpoint, Model, Snapshot
from p2pfl.trust import Trust

_ROUND = "protocol.round"  # in the snapshot of a protocol that may begin anywhere
_MEMBERS = "node.members"  # without it a node waits for company as at its first start


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What a file gives: a model, and of a checkpoint of this plan also where it stood."""

    model: Model
    state: Mapping[str, Array] = field(default_factory=dict)
    round: int = 0


def import_model(
    config: Config, paths: Paths, file: Path, *, number: int | None, may_replace: Callable[[str], bool]
) -> Answer:
    """Make a checkpoint of the model in ``file``, at round ``number`` if that is given.

    ``may_replace`` is asked before a state that is further on is set aside.  Raises ConfigError for another
    model or while the node runs, StateError (exit code 5) for a file that is damaged.
    """
    check_choices(config)
    settings, plan = config.settings, plan_of(config.settings)
    with locked(paths.state):  # refuses, with the remedy, while the node runs
        number_of_node = settings.node.number or 0
        work = assembly.make_work(settings, plan, number_of_node)
        found = _at_round(_read(file, work.learner.schema, plan), number)
        stored = checkpoint.list_checkpoints(paths.state)
        if stored and stored[0].facts.round >= found.round:
            _ask(paths, f"round {stored[0].facts.round}", may_replace)
        made = _checkpoint(settings, plan, found, work=work, start=checkpoint.next_incarnation(paths.state))
        path = CheckpointWriter(paths.state, plan=plan.hash).write(made)
        replaced = checkpoint.set_aside(paths.state, but=path)
    data = {
        "file": str(file),
        "checkpoint": str(path),
        "round": made.round,
        "age": made.model.age,
        "parameters": work.learner.schema.parameters,
        "set_aside": [str(each) for each in replaced],
    }
    aside = f"   ({len(replaced)} older set aside as *.old)" if replaced else ""
    return Answer(data, f"round {made.round}, {data['parameters']:,} parameters: {path.name}{aside}")


def _read(file: Path, schema: Schema, plan: Plan) -> _Found:
    try:
        if not checkpoint.is_checkpoint_name(file.name):
            return _Found(Model(model_file.read_weights(file, schema)))
        stored = checkpoint.verify(file)
        loaded = checkpoint.load(file)
    except P2PError as error:
        error.where = error.where or str(file)
        error.fix = (
            error.fix or "take a file of p2pnode checkpoint export, or a checkpoint under its own name"
        )
        raise
    if loaded.model.params.size != schema.parameters:
        raise ConfigError(
            f"the checkpoint has {loaded.model.params.size} parameters, the task's model {schema.parameters}",
            where=str(file),
            fix="use the [task] section that the checkpoint was made with",
        )
    if stored.facts.plan != plan.hash:
        return _Found(Model(loaded.model.params))
    return _Found(Model(loaded.model.params, loaded.model.age), loaded.state, loaded.round)


def _at_round(found: _Found, number: int | None) -> _Found:
    if number is None:
        return found
    return replace(found, model=replace(found.model, age=number), round=number)


def _ask(paths: Paths, what: str, may_replace: Callable[[str], bool]) -> None:
    if not may_replace(what):
        raise ConfigError(
            f"the node has stored {what}, which the import would set aside",
            where=str(paths.state),
            fix="give --yes if that is meant; p2pnode checkpoint export keeps a copy first",
            exit_code=2,
        )


def _checkpoint(
    settings: Settings, plan: Plan, found: _Found, *, work: assembly.Work, start: int
) -> Checkpoint:
    """As a node stores it that has just been made with this model."""
    me = assembly.Me("import", settings.node.name, settings.node.number or 0, start)
    node = assembly.make_node(
        settings,
        plan,
        me,
        work=work,
        membership=assembly.make_membership(me),
        trust=Trust(),
        checkpoint=None,
        model=found.model,
    )
    made = node.snapshot()
    values = {name: value for name, value in made.values.items() if name != _MEMBERS}
    if _ROUND in values:
        values[_ROUND] = found.round
    elif found.round:
        raise ConfigError(
            f"protocol {settings.protocol.name} cannot begin at round {found.round}",
            where="--round",
            fix="p2pnode checkpoint import FILE --round 0",
        )
    return Checkpoint(found.model, found.state, Snapshot(values, made.arrays), found.round)
