"""Options that several commands have, and what they mean."""

from pathlib import Path
from typing import Annotated

import typer

from node_daemon.paths import Paths, find_paths
from p2pfl.errors import ConfigError

Home = Annotated[Path | None, typer.Option("--home", help="All files of the node in one folder.")]
Network = Annotated[str | None, typer.Option("--network", help="Which of this user's networks.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Config file instead of the usual one.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Nodes = Annotated[int, typer.Option("--nodes", help="Number of nodes.")]


def group(help: str) -> typer.Typer:
    """Commands that belong together."""
    return typer.Typer(help=help, no_args_is_help=True, pretty_exceptions_enable=False)


def paths_of(home: Path | None, network: str | None, config: Path | None = None) -> Paths:
    """The files of the node that the options name; raises ConfigError for a folder that is not there."""
    if home is not None and not home.is_dir():
        raise ConfigError(
            f"there is no folder {str(home)!r}", where="--home", fix=f"p2pnode init --home {home}"
        )
    return find_paths(home=home, network=network, config=config)
