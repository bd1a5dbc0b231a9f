"""The command line: what can be typed, and which module answers.

The one package that imports inside functions: each command loads what it needs, so that ``--help``,
``status`` and ``stop`` answer at once.  Nothing is decided here.
"""

import os
import sys
from typing import Annotated

import typer

from node_daemon.cli import diagnosis, everyday, membership, models, settings, simulation, start, topology
from node_daemon.command_group import Commands, report_unexpected

app = typer.Typer(
    cls=Commands,
    help="Machines learn one model together, and nobody is in charge.",
    epilog="Example: p2pnode demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for part in (start, everyday, membership, models, diagnosis):  # their commands stand beside each other
    app.add_typer(part.app)
app.add_typer(
    membership.trust, name="trust", rich_help_panel="Everyday", epilog="Example: p2pnode trust list"
)
app.add_typer(
    simulation.app, name="sim", rich_help_panel="Research", epilog="Example: p2pnode sim run experiment.toml"
)
app.add_typer(
    topology.app, name="topology", rich_help_panel="Research", epilog="Example: p2pnode topology list"
)
app.add_typer(
    settings.app, name="config", rich_help_panel="Help", epilog="Example: p2pnode config show --origin"
)


def main() -> None:
    """The console script."""
    command = typer.main.get_command(app)  # typer's own call would take the hook for itself
    sys.excepthook = report_unexpected
    command()


@app.callback()
def _all(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="As NO_COLOR=1 in the environment.")] = False,
) -> None:
    if debug:  # a command that fails reads it from the context
        sys.excepthook = sys.__excepthook__
    if no_color:
        os.environ["NO_COLOR"] = "1"
