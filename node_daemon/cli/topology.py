"""``topology``: graphs, and what they cost."""

from pathlib import Path
from typing import Annotated

import typer

from node_daemon.cli.options import AsJson, Nodes, group
from node_daemon.output import show

Seed = Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")]
Degree = Annotated[int | None, typer.Option("--degree", help="The option degree of the topology.")]
Options = Annotated[list[str] | None, typer.Option("--option", help="NAME=VALUE, an option of the topology.")]

app = group("Graphs: who sends to whom.")


@app.command("list", epilog="Example: p2pnode topology list")
def topology_list(as_json: AsJson = False) -> None:
    """All families, with their options."""
    from node_daemon import topology_commands

    show(topology_commands.list_families(), as_json=as_json)


@app.command("show", epilog="Example: p2pnode topology show torus --nodes 16 --plot torus.png")
def topology_show(
    name: Annotated[str, typer.Argument(help="See p2pnode topology list.")],
    nodes: Nodes = 16,
    degree: Degree = None,
    seed: Seed = 0,
    option: Options = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """Degree, diameter, spectral gap, and a picture."""
    from node_daemon import topology_commands

    request = topology_commands.request_of(nodes, seed, degree=degree, options=option or [])
    show(topology_commands.show(name, request, plot=plot), as_json=as_json)


@app.command("compare", epilog="Example: p2pnode topology compare ring torus full_mesh --nodes 16")
def topology_compare(
    names: Annotated[list[str], typer.Argument(help="See p2pnode topology list.")],
    nodes: Nodes = 16,
    degree: Degree = None,
    seed: Seed = 0,
    option: Options = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw them: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """The same figures side by side; each topology takes the options that it has."""
    from node_daemon import topology_commands

    request = topology_commands.request_of(nodes, seed, degree=degree, options=option or [])
    show(topology_commands.compare(names, request, plot=plot), as_json=as_json)
