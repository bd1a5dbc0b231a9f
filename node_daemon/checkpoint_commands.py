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
    """Check one file, or all that are stored, as a restart would; raises StateError for a damaged one."""
    stored = [entry.path for entry in checkpoint.list_checkpoints(paths.state)]
    files = stored if file is None else [file]
    if not files:
        raise StateError("no checkpoint is stored here yet", where=str(paths.state), fix="p2pnode start")
    entries = [checkpoint.verify(path) for path in files]
    text = "\n".join(f"ok  round {entry.facts.round}  {entry.path.name}" for entry in entries)
    return Answer({"verified": [str(entry.path) for entry in entries]}, text)


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
