"""``config``: the settings of a node."""

from typing import Annotated

import typer

from node_daemon.cli.options import AsJson, ConfigFile, Home, Network, group, paths_of
from node_daemon.output import show

app = group("Effective settings, and where each came from.")


@app.command("show", epilog="Example: p2pnode config show --origin")
def config_show(
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value came from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Effective values of all settings."""
    from node_daemon import setup_commands
    from node_daemon.list_check import load_node_config

    found = load_node_config({"network.name": network}, home=home, file=config)
    show(setup_commands.show(found, has_origins=origin), as_json=as_json)


@app.command("path", epilog="Example: p2pnode config path")
def config_path(
    home: Home = None, network: Network = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Where the node's files are."""
    from node_daemon import setup_commands

    show(setup_commands.path(paths_of(home, network, config), config), as_json=as_json)


@app.command("check", epilog="Example: p2pnode config check")
def config_check(
    home: Home = None, network: Network = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Validate everything that can be validated without starting."""
    from node_daemon import setup_commands
    from node_daemon.list_check import load_node_config

    found = load_node_config({"network.name": network}, home=home, file=config)
    show(setup_commands.check(found), as_json=as_json)


@app.command("set", epilog="Example: p2pnode config set network.port 7965")
def config_set(
    key: Annotated[str, typer.Argument(help="SECTION.KEY")],
    value: Annotated[str, typer.Argument(help="As in TOML; texts need no quotation marks.")],
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Change one setting in the config file; comments stay, and nothing invalid is written."""
    from node_daemon import setup_commands

    paths = paths_of(home, network, config)
    show(setup_commands.change(paths, config, (key, value)), as_json=as_json)
