"""The plan: what all nodes of one run must have in common, as a hash for machines and as words for people.

Two nodes with different plans say so instead of mixing their models.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from node_daemon.choices import rounds
from node_daemon.sections import Settings
from p2pfl.errors import ConfigError

HASH_BYTES = 8
MAX_WORDS = 200  # characters


@dataclass(frozen=True, slots=True)
class Plan:
    """Topology, protocol and task with their options, the budget and the seed."""

    topology: str
    topology_options: Mapping[str, object]
    protocol: str
    protocol_options: Mapping[str, object]
    rounds: int
    seed: int
    task: str
    task_options: Mapping[str, object]

    @property
    def hash(self) -> bytes:
        """8 bytes of SHA-256 over the canonical JSON."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).digest()[:HASH_BYTES]

    @property
    def words(self) -> str:
        """For people, at most ``MAX_WORDS`` characters."""
        parts = [
            f"topology {_with(self.topology, self.topology_options)}",
            f"protocol {_with(self.protocol, self.protocol_options)}",
            f"{self.rounds or 'unlimited'} rounds",
            f"seed {self.seed}",
            f"task {_with(self.task, self.task_options)}",
        ]
        words = ", ".join(parts)
        return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…"


def plan_of(settings: Settings) -> Plan:
    """The plan that the settings describe; of a graph in a file the content counts, not where it lies."""
    return Plan(
        topology=settings.topology.name,
        topology_options=_by_content(settings.topology.options),
        protocol=settings.protocol.name,
        protocol_options=settings.protocol.options,
        rounds=rounds(settings),
        seed=settings.network.seed,
        task=settings.task.name,
        task_options=_by_content(settings.task.options),
    )


def _by_content(options: Mapping[str, object]) -> Mapping[str, object]:
    """The options with what the files hold in place of where they lie; of a folder only that there is one."""
    path = options.get("path")
    paths = [one for one in (path if isinstance(path, list) else [path]) if isinstance(one, str)]
    if not paths:
        return options
    others = {name: value for name, value in options.items() if name != "path"}
    return {**others, "sha256": " ".join(_content(Path(one).expanduser()) for one in paths)}


def _content(path: Path) -> str:
    """A folder holds more than is used of it, which only its reader knows."""
    if path.is_dir():
        return "folder"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", fix="correct the path") from error


def _with(name: str, options: Mapping[str, object]) -> str:
    listed = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
    return f"{name} ({listed})" if listed else name
