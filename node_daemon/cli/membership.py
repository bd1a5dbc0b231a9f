"""``invite``, ``join``, ``trust``: who belongs to a network, and whose models count."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from node_daemon.cli.options import AsJson, Home, Network, group, paths_of
from node_daemon.output import show
from node_daemon.paths import find_paths
from p2pfl.errors import ConfigError

NoConsent = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Who = Annotated[str, typer.Argument(help="A name from trust.toml, or a full id.")]
AcceptOnly = Annotated[bool, typer.Option("--accept-only", help="Only: I accept its models.")]
ShareOnly = Annotated[bool, typer.Option("--share-only", help="Only: it may have my model.")]

app = group("Who takes part.")
trust = group("Who may have my model, whose model I accept.")


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode invite")
def invite(
    home: Home = None,
    network: Network = None,
    address: Annotated[list[str] | None, typer.Option(help="tcp://HOST:PORT of this node.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a one-line ticket with which another machine can join."""
    from node_daemon import ticket_commands
    from node_daemon.config import load_config

    config = load_config({"network.name": network}, home=home)
    answer = ticket_commands.invite(paths_of(home, network), config, addresses=address or ())
    show(answer, as_json=as_json)
    if not as_json:
        sys.stderr.write(ticket_commands.warning(answer) + "\n")


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode join p2pnode1-QGQW4…")
def join(
    ticket: Annotated[str, typer.Argument(help="The line that p2pnode invite printed.")],
    home: Home = None,
    name: Annotated[str | None, typer.Option(help="What people call this node.")] = None,
    inviter: Annotated[str, typer.Option(help="In mode list: what to call the node that invites.")] = "",
    yes: NoConsent = False,
    as_json: AsJson = False,
) -> None:
    """Show what a ticket would change, and write it once you agree."""
    from node_daemon import ticket_commands

    found = ticket_commands.read_ticket(ticket)
    paths = find_paths(home=home, network=None if home is not None else found.network)
    if not yes:
        _ask(ticket_commands.preview(paths, found, inviter=inviter))
    show(ticket_commands.join(paths, found, name=name, inviter=inviter), as_json=as_json)


@trust.command("add", epilog="Example: p2pnode trust add QE4XODV-… --name garage")
def trust_add(
    who: Who,
    home: Home = None,
    network: Network = None,
    name: Annotated[str, typer.Option(help="What to call it from now on.")] = "",
    accept_only: AcceptOnly = False,
    share_only: ShareOnly = False,
    as_json: AsJson = False,
) -> None:
    """Put a node on my lists, by default on both."""
    from node_daemon import trust_commands

    lists = trust_commands.directions(accept_only=accept_only, share_only=share_only)
    show(trust_commands.add(paths_of(home, network), who, lists, name=name), as_json=as_json)


@trust.command("remove", epilog="Example: p2pnode trust remove garage")
def trust_remove(
    who: Who,
    home: Home = None,
    network: Network = None,
    accept_only: AcceptOnly = False,
    share_only: ShareOnly = False,
    as_json: AsJson = False,
) -> None:
    """Take a node off my lists; its link is cut before this returns."""
    from node_daemon import trust_commands

    lists = trust_commands.directions(accept_only=accept_only, share_only=share_only)
    show(trust_commands.remove(paths_of(home, network), who, lists), as_json=as_json)


@trust.command("compile", epilog="Example: p2pnode trust compile hospitals.edges")
def trust_compile(
    file: Annotated[Path, typer.Argument(help="GraphML, edge list or JSON; u -> v: u shares with v.")],
    home: Home = None,
    network: Network = None,
    me: Annotated[str | None, typer.Option(help="What the graph calls this node.")] = None,
    yes: NoConsent = False,
    as_json: AsJson = False,
) -> None:
    """Show how a graph would change both lists, and write them once you agree."""
    from node_daemon import trust_compile
    from node_daemon.config import load_config
    from node_daemon.files import load_or_create_identity

    paths = paths_of(home, network)
    name = me or load_config({"network.name": network}, home=home).settings.node.name
    my_id = load_or_create_identity(paths.identity.parent).id
    compiled = trust_compile.compile_lists(paths, file, me=name, my_id=my_id)
    if not yes and compiled.has_changes:
        _ask(compiled.preview(), "changing who is trusted")
    show(trust_compile.write(paths, compiled), as_json=as_json)


@trust.command("list", epilog="Example: p2pnode trust list --json")
def trust_list(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """The mode, and both directions for everybody who is named."""
    from node_daemon import trust_commands

    show(trust_commands.show(paths_of(home, network)), as_json=as_json)


def _ask(changes: str, what: str = "joining") -> None:
    """Let the owner of this machine agree, or leave."""
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{what} needs your consent", facts=changes.splitlines(), fix="add --yes", exit_code=2
        )
    sys.stderr.write(changes + "\n")
    if not typer.confirm("Write this?", err=True):
        raise typer.Exit(1)
