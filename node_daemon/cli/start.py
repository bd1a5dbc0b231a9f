"""``demo``, ``init``, ``start``, ``stop``, ``pause``, ``resume``."""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from node_daemon import queries
from node_daemon.cli.options import AsJson, ConfigFile, Home, Network, Nodes, group, paths_of
from node_daemon.output import show
from node_daemon.paths import find_paths

# Before numpy and torch are loaded: one thread per node, since several nodes share the cores of one machine.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Insecure = Annotated[
    bool, typer.Option("--insecure", help="In mode open: listen to other machines, unprotected.")
]
StrictDisk = Annotated[
    bool, typer.Option("--strict-disk", help="End (exit 5) when a checkpoint cannot be written.")
]
Wait = Annotated[float | None, typer.Option(min=0, help="Give up (exit 9) after SECONDS without company.")]

app = group("Start and stop nodes.")


@app.command(rich_help_panel="Start", epilog="Example: p2pnode demo --protocol random_walk")
def demo(
    nodes: Nodes = 5,
    topology: Annotated[str, typer.Option(help="See p2pnode topology list.")] = "ring",
    protocol: Annotated[str, typer.Option(help="How models are exchanged.")] = "gossip_averaging",
    rounds: Annotated[int | None, typer.Option(help="By default what the protocol suggests.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Several daemons on this computer learn together; a table at the end."""
    from simulations.demo import run_demo

    code = run_demo(
        nodes=nodes, topology=topology, protocol=protocol, rounds=rounds, seed=seed, as_json=as_json
    )
    raise typer.Exit(code)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode init --mode ticket --network lab")
def init(
    home: Home = None,
    network: Network = None,
    name: Annotated[str | None, typer.Option(help="What people call this node.")] = None,
    mode: Annotated[str | None, typer.Option(help="Who gets in: list (default), ticket, or open.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the identity, a commented p2pnode.toml and trust.toml; asks nothing, overwrites nothing."""
    from node_daemon.setup_commands import init as make

    paths = find_paths(home=home, network=network)
    values = {"network.name": network, "node.name": name}
    show(make(paths, values, home=home, mode=mode), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode start --network lab")
def start(
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    name: Annotated[str | None, typer.Option(help="What people call this node.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    insecure: Insecure = False,
    peer: Annotated[list[str] | None, typer.Option(help="tcp://HOST:PORT of a peer; repeatable.")] = None,
    no_mdns: Annotated[bool, typer.Option("--no-mdns", help="Do not look for peers on the LAN.")] = False,
    min_peers: Annotated[int | None, typer.Option(help="Begin with so many nodes.")] = None,
    topology: Annotated[str | None, typer.Option(help="Who sends to whom.")] = None,
    protocol: Annotated[str | None, typer.Option(help="How models are exchanged.")] = None,
    rounds: Annotated[int | None, typer.Option(help="0 is for ever.")] = None,
    task: Annotated[str | None, typer.Option(help="What is learned.")] = None,
    part: Annotated[int | None, typer.Option(help="This node's part of the data, from 0.")] = None,
    parts: Annotated[int | None, typer.Option(help="Into how many parts the data is split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal on all nodes.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set stored models aside, begin again.")] = False,
    strict_disk: StrictDisk = False,
    wait: Wait = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every detail.")] = False,
    until_finished: Annotated[bool, typer.Option("--until-finished", hidden=True)] = False,
    fork_server: Annotated[bool, typer.Option("--fork-server", hidden=True)] = False,
) -> None:
    """Run the node in the foreground until Ctrl-C."""
    _use_one_thread(is_server=fork_server)
    from node_daemon.daemon import Manner, run

    flags = {
        "network.name": network,
        "node.name": name,
        "node.strict_disk": strict_disk or None,
        "network.port": port,
        "network.host": host,
        "network.insecure": insecure or None,
        "network.static": peer or None,
        "network.mdns": False if no_mdns else None,
        "network.min_peers": min_peers,
        "topology.name": topology,
        "protocol.name": protocol,
        "protocol.rounds": rounds,
        "task.name": task,
        "data.part": part,
        "data.parts": parts,
        "network.seed": seed,
        "log.level": "debug" if verbose else "warning" if quiet else None,
    }
    _leave(run(home, file=config, flags=flags, manner=Manner(fresh, wait, until_finished)))


@app.command(rich_help_panel="Start", epilog="Example: p2pnode stop")
def stop(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Stop the node: checkpoint, good-bye."""
    show(queries.simple(paths_of(home, network), "stop"), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode pause")
def pause(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Hold back training; the node goes on answering."""
    show(queries.simple(paths_of(home, network), "pause"), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode resume")
def resume(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Train again."""
    show(queries.simple(paths_of(home, network), "resume"), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode reload")
def reload(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Have the node read its files again: trust, static peers, log level, limits; the rest is named."""
    from node_daemon import reload_command

    show(reload_command.reload(paths_of(home, network)), as_json=as_json)


def _use_one_thread(*, is_server: bool) -> None:
    """Of each library; a fork server serves from here on, and does not return."""
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    if is_server:
        _serve_forks()


def _serve_forks() -> NoReturn:
    from node_daemon.fork_server import serve

    raise typer.Exit(serve())


def _leave(code: int) -> NoReturn:
    """End now: a training under way in its thread does not hold up the end."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
