"""``doctor``: what is wrong with this machine's node, and what to do about it."""

import os
import sys

import typer

from node_daemon.cli.options import AsJson, ConfigFile, Home, Network, group, paths_of
from node_daemon.output import show

FAILED = 1  # exit code

app = group("Find out what is wrong.")


@app.command(rich_help_panel="Help", epilog="Example: p2pnode doctor")
def doctor(
    home: Home = None, network: Network = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Named checks of this machine and its node, each with a remedy; exit code 1 when one fails."""
    from functools import partial

    from node_daemon.doctor.checks import CHECKS
    from node_daemon.doctor.finding import Grade
    from node_daemon.doctor.report import doctor as examine
    from node_daemon.list_check import load_node_config

    load = partial(load_node_config, {"network.name": network}, home=home, file=config)
    answer, found = examine(paths_of(home, network, config), load, CHECKS)
    show(answer, as_json=as_json)
    if found.unfinished:  # its thread is not to be waited for
        sys.stdout.flush()
        os._exit(FAILED)
    if found.count(Grade.FAIL):
        raise typer.Exit(FAILED)
