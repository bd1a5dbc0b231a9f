"""Experiments in TOML: exactly the keyword arguments of ``Experiment``; a list of values makes a sweep.

.. code-block:: toml

    topology = { name = "partial_mesh", nodes = 20, degree = 4 }
    protocol = "gossip_averaging"
    rounds = 20

    [network]
    loss = 0.1
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pfl.errors import ConfigError, P2PError
from simulations.experiment import Experiment

MAX_FILE_BYTES = 16 << 20


def read_table(path: str | Path) -> dict[str, object]:
    """The table in a file, its keys not yet checked; raises ConfigError naming the file."""
    place = Path(path)
    try:
        with place.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the experiment: {error.strerror}", where=str(place)) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"the file is larger than {MAX_FILE_BYTES >> 20} MiB", where=str(place))
    try:
        return tomllib.loads(content.decode("utf-8"))
    except ValueError as error:  # of the text, or of its encoding
        raise ConfigError(f"not TOML: {error}", where=str(place)) from error


def read_experiment(path: str | Path) -> Experiment:
    """The one experiment in a file; raises ConfigError naming the file and the key."""
    table = read_table(path)
    with in_file(path):
        return Experiment.from_table(table)


@contextmanager
def in_file(path: str | Path) -> Iterator[None]:
    """Errors of the operator in here name the file before the key."""
    try:
        yield
    except P2PError as error:
        if not error.where.startswith(str(path)):
            error.where = f"{path}: {error.where}" if error.where else str(path)
        raise
