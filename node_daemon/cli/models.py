"""``eval`` and ``checkpoint``: the models of a node."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from node_daemon import queries
from node_daemon.cli.options import AsJson, ConfigFile, Home, Network, group, paths_of
from node_daemon.output import show
from node_daemon.paths import find_paths

app = group("Models.")
checkpoint_app = group("Stored models.")
app.add_typer(
    checkpoint_app, name="checkpoint", rich_help_panel="Models", epilog="Example: p2pnode checkpoint list"
)


@app.command("eval", rich_help_panel="Models", epilog="Example: p2pnode eval --json")
def evaluate(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Evaluate the running node's present model on the test set."""
    show(queries.evaluate(paths_of(home, network)), as_json=as_json)


@checkpoint_app.command("list", epilog="Example: p2pnode checkpoint list")
def checkpoint_list(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """The stored models, newest first."""
    from node_daemon import checkpoint_commands

    show(checkpoint_commands.list_stored(paths_of(home, network)), as_json=as_json)


@checkpoint_app.command("export", epilog="Example: p2pnode checkpoint export model.safetensors")
def checkpoint_export(
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the newest model as safetensors, one tensor per name."""
    from node_daemon import checkpoint_commands
    from node_daemon.list_check import load_node_config

    settings = load_node_config({"network.name": network}, home=home, file=config)
    paths = find_paths(home=home, network=settings.settings.network.name)
    show(checkpoint_commands.export(settings, paths, file), as_json=as_json)


@checkpoint_app.command("import", epilog="Example: p2pnode checkpoint import model.safetensors")
def checkpoint_import(
    file: Annotated[Path, typer.Argument(help="Weights in safetensors, or a node's checkpoint.")],
    number: Annotated[
        int | None,
        typer.Option("--round", min=0, help="Where to go on; by default what the file says, or 0."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Set aside a later state without asking.")] = False,
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Begin with this model at the next start; the node must be stopped."""
    from node_daemon.import_command import import_model
    from node_daemon.list_check import load_node_config

    def may_replace(what: str) -> bool:
        if yes or as_json or not sys.stdin.isatty():
            return yes
        return typer.confirm(f"{what} is stored here; set it aside?", err=True)

    settings = load_node_config({"network.name": network}, home=home, file=config)
    paths = find_paths(home=home, network=settings.settings.network.name)
    show(import_model(settings, paths, file, number=number, may_replace=may_replace), as_json=as_json)


@checkpoint_app.command("verify", epilog="Example: p2pnode checkpoint verify")
def checkpoint_verify(
    file: Annotated[Path | None, typer.Argument(help="By default all that are stored.")] = None,
    home: Home = None,
    network: Network = None,
    as_json: AsJson = False,
) -> None:
    """Check stored models as a restart would."""
    from node_daemon import checkpoint_commands

    show(checkpoint_commands.verify(paths_of(home, network), file), as_json=as_json)
