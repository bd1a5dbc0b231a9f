"""``checkpoint list``, ``export`` and ``verify``."""

from pathlib import Path

from node_daemon import checkpoint, model_file
from node_daemon.choices import check_choices
from node_daemon.config import Config
from node_daemon.output import Answer, table
from node_daemon.paths import Paths
from node_daemon.stored_model import newest, schema_of
from p2pfl.errors import StateError


def list_stored(paths: Paths) -> Answer:
    """The checkpoints in the state folder, newest first."""
    entries = checkpoint.list_checkpoints(paths.state)
    rows = [
        (entry.facts.round, entry.size_bytes, entry.facts.plan.hex(), entry.path.name) for entry in entries
    ]
    data = [
        {
            "round": entry.facts.round,
            "size_bytes": entry.size_bytes,
            "plan": entry.facts.plan.hex(),
            "parameters": entry.facts.parameters,
            "path": str(entry.path),
        }
        for entry in entries
    ]
    text = table(("ROUND", "BYTES", "PLAN", "FILE"), rows) if rows else f"nothing is stored in {paths.state}"
    return Answer({"checkpoints": data}, text)


def verify(paths: Paths, file: Path | None) -> Answer:
    """Check one file, or all that are stored, as a restart would.

    Raises StateError (exit code 5) that names every damaged one, those set aside by a start included.
    """
    if file is not None:
        return _verified([file])
    files = checkpoint.checkpoint_paths(paths.state)
    aside = sorted(paths.state.glob("ckpt-*.corrupt"))
    if not files and not aside:
        raise StateError("no checkpoint is stored here yet", where=str(paths.state), fix="p2pnode start")
    return _verified(files)


def _verified(files: list[Path]) -> Answer:
    intact, damaged = [], []
    for path in files:
        try:
            intact.append(checkpoint.verify(path))
        except StateError as error:
            damaged.append(error if error.where else StateError(error.what, where=path.name))
    if damaged or not intact:
        raise StateError(
            f"{len(damaged)} of {len(files)} checkpoints are damaged" if files else "no checkpoint is intact",
            facts=[*map(str, damaged), *(f"intact: round {each.facts.round}" for each in intact)],
            fix="the next start sets them aside and takes the newest intact one"
            if intact
            else "restore one from a copy, or p2pnode checkpoint import FILE, or start with --fresh",
        )
    text = "\n".join(f"ok  round {entry.facts.round}  {entry.path.name}" for entry in intact)
    return Answer({"verified": [str(entry.path) for entry in intact]}, text)


def export(config: Config, paths: Paths, target: Path) -> Answer:
    """Write the newest intact model alone, one tensor per name, as safetensors."""
    check_choices(config)
    found = newest(paths)
    schema = schema_of(config.settings)
    model_file.export(found, schema, target)
    data = {
        "file": str(target),
        "round": found.round,
        "age": found.model.age,
        "parameters": schema.parameters,
    }
    return Answer(data, f"round {found.round}, {schema.parameters:,} parameters: {target}")
