"""The model that a node has stored, for use in Python: ``node_daemon.load(home)``."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from node_daemon import checkpoint
from node_daemon.choices import check_choices, make_task
from node_daemon.list_check import load_node_config
from node_daemon.local_data import training_rows
from node_daemon.paths import Paths, home_paths, user_paths
from node_daemon.sections import Settings
from p2pfl.errors import ConfigError, StateError
from p2pfl.learning.learner import LearnerSetup, Schema
from p2pfl.model import Checkpoint


class Tensor(Protocol):
    """As much of ``torch.Tensor`` as is needed to fill one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        ...

    def new_tensor(self, data: NDArray[np.float32]) -> "Tensor":
        """A tensor of the same dtype and device with these values."""
        ...

    def copy_(self, source: "Tensor") -> "Tensor":
        """Take over the values."""
        ...


class Module(Protocol):
    """As much of ``torch.nn.Module`` as is needed to fill one."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Its tensors by name, sharing memory with it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """A node's newest intact model: one flat vector, and what the vector is made of."""

    params: NDArray[np.float32] = field(repr=False)  # there may be millions
    age: int
    round: int
    schema: Schema

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The vector as arrays, by the names and in the shapes of the task's model."""
        found, begin = {}, 0
        for name, shape, _ in self.schema.entries:
            size = int(np.prod(shape))
            found[name] = self.params[begin : begin + size].reshape(shape)
            begin += size
        return found

    def into(self, module: Module) -> None:
        """Fill a torch module of the task's kind; raises ConfigError when it is of another."""
        places = module.state_dict()
        for name, array in self.tensors().items():
            place = places.get(name)
            if place is None or tuple(place.shape) != array.shape:
                found = "is missing" if place is None else f"has shape {list(place.shape)}"
                raise ConfigError(
                    f"the module is not of the stored model's kind: {name} {found}",
                    facts=[f"stored: {name} {list(array.shape)}"],
                    fix="make the module of the node's [task]",
                )
            place.copy_(place.new_tensor(array))


def load(home: str | Path | None = None, *, network: str | None = None) -> StoredModel:
    """The newest intact model of the node in ``home`` (without it, of this user's node in ``network``).

    Raises StateError when nothing is stored, ConfigError when the task in the config is another by now.
    """
    config = load_node_config({"network.name": network}, home=None if home is None else Path(home))
    check_choices(config)
    settings = config.settings
    paths = user_paths(settings.network.name) if home is None else home_paths(Path(home))
    return read(settings, paths)


def read(settings: Settings, paths: Paths) -> StoredModel:
    """The newest intact model in the state folder."""
    schema, found = schema_of(settings), newest(paths)
    if found.model.params.size != schema.parameters:
        raise ConfigError(
            f"the stored model has {found.model.params.size} parameters, "
            f"task {settings.task.name!r} has {schema.parameters}",
            where="task.name",
        )
    return StoredModel(found.model.params, found.model.age, found.round, schema)


def newest(paths: Paths) -> Checkpoint:
    """The newest intact checkpoint, read without touching any file; raises StateError when there is none."""
    for entry in checkpoint.list_checkpoints(paths.state):
        with suppress(StateError):  # a damaged one is set aside by the node's next start
            return checkpoint.load(entry.path)
    raise StateError("no intact model is stored here", where=str(paths.state), fix="p2pnode start")


def schema_of(settings: Settings) -> Schema:
    """What the flat vector of the configured task is made of."""
    task = make_task(settings)
    dataset = task.dataset()
    rows = training_rows(settings, dataset)
    return task.learner(rows, dataset.test, LearnerSetup(seed=settings.network.seed)).schema
