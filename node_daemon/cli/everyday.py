"""``status``, ``peers``, ``id``, ``logs``, ``version``: what a node says of itself."""

import sys
from typing import Annotated

import typer

from node_daemon import queries
from node_daemon.cli.options import AsJson, Home, Network, group, paths_of
from node_daemon.output import Answer, show

app = group("Ask a node.")


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode status --json")
def status(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Running? Round, accuracy, peers, last problem."""
    show(queries.status(paths_of(home, network)), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode peers")
def peers(
    home: Home = None,
    network: Network = None,
    pending: Annotated[bool, typer.Option("--pending", help="Strangers who knocked.")] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Addresses and edges of the graph too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Table of the other members, as this node sees them."""
    paths = paths_of(home, network)
    show(queries.pending(paths) if pending else queries.peers(paths, is_wide=wide), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode ping garage")
def ping(
    peer: Annotated[str, typer.Argument(help="A name, a full id, or the short one of p2pnode peers.")],
    home: Home = None,
    network: Network = None,
    as_json: AsJson = False,
) -> None:
    """Round trip, path, throughput, version; does it accept me, does it share with me?"""
    from node_daemon import ping_command

    show(ping_command.ping(paths_of(home, network), peer), as_json=as_json)


@app.command("id", rich_help_panel="Everyday", epilog="Example: p2pnode id")
def identity(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """My node ID, in full."""
    from node_daemon.identity_command import show_id

    show(show_id(paths_of(home, network)), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode logs -f")
def logs(
    home: Home = None,
    network: Network = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """The daemon's log, as JSON lines."""
    path = paths_of(home, network).log
    if as_json and not follow:
        show(Answer({"path": str(path), "lines": list(queries.tail(path, lines))}, ""), as_json=True)
        return
    for text in queries.log_text(path, lines, is_followed=follow):
        sys.stdout.write(text)
        sys.stdout.flush()


@app.command(rich_help_panel="Help", epilog="Example: p2pnode version --json")
def version(as_json: AsJson = False) -> None:
    """Of the program, protocol, python, torch, platform."""
    show(queries.version(), as_json=as_json)
