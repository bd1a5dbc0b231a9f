"""The command line: what can be typed, and which module answers.

The one module that imports inside functions: each command loads what it needs, so that ``--help``, ``status``
and ``stop`` answer at once.  Nothing is decided here.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from node_daemon import queries
from node_daemon.command_group import Commands, report_unexpected
from node_daemon.output import Answer, show
from node_daemon.paths import Paths, find_paths
from p2pfl.errors import ConfigError

# Before numpy and torch are loaded: one thread per node, since several nodes share the cores of one machine.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _group(help: str, **settings: bool) -> typer.Typer:
    return typer.Typer(help=help, no_args_is_help=True, pretty_exceptions_enable=False, **settings)  # type: ignore[arg-type]


app = typer.Typer(
    cls=Commands,
    help="Machines learn one model together, and nobody is in charge.",
    epilog="Example: p2pnode demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config_app = _group("Effective settings, and where each came from.")
checkpoint_app = _group("Stored models.")
topology_app = _group("Graphs: who sends to whom.")
app.add_typer(
    config_app, name="config", rich_help_panel="Help", epilog="Example: p2pnode config show --origin"
)
app.add_typer(
    checkpoint_app, name="checkpoint", rich_help_panel="Models", epilog="Example: p2pnode checkpoint list"
)
app.add_typer(
    topology_app, name="topology", rich_help_panel="Research", epilog="Example: p2pnode topology list"
)

Home = Annotated[Path | None, typer.Option("--home", help="All files of the node in one folder.")]
Network = Annotated[str | None, typer.Option("--network", help="Which of this user's networks.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Config file instead of the usual one.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Nodes = Annotated[int, typer.Option("--nodes", help="Number of nodes.")]
Seed = Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Listen to other machines, unprotected.")]
Wait = Annotated[float | None, typer.Option(min=0, help="Give up (exit 9) after SECONDS without company.")]
Degree = Annotated[int | None, typer.Option("--degree", help="The option degree of the topology.")]
Options = Annotated[list[str] | None, typer.Option("--option", help="NAME=VALUE, an option of the topology.")]


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


@app.command(rich_help_panel="Start", epilog="Example: p2pnode init --network lab --name kitchen")
def init(
    home: Home = None,
    network: Network = None,
    name: Annotated[str | None, typer.Option(help="What people call this node.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the identity and a commented p2pnode.toml; asks nothing, overwrites nothing."""
    from node_daemon.setup_commands import init as make

    paths = find_paths(home=home, network=network)
    show(make(paths, {"network.name": network, "node.name": name}, home=home), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode start --insecure --network lab")
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
    wait: Wait = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every detail.")] = False,
    until_finished: Annotated[bool, typer.Option("--until-finished", hidden=True)] = False,
    fork_server: Annotated[bool, typer.Option("--fork-server", hidden=True)] = False,
) -> None:
    """Run the node in the foreground until Ctrl-C."""
    _use_one_thread()
    if fork_server:
        _serve_forks()
    from node_daemon.daemon import Manner, run

    flags = {
        "network.name": network,
        "node.name": name,
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
    show(queries.simple(_paths(home, network), "stop"), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode pause")
def pause(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Hold back training; the node goes on answering."""
    show(queries.simple(_paths(home, network), "pause"), as_json=as_json)


@app.command(rich_help_panel="Start", epilog="Example: p2pnode resume")
def resume(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Train again."""
    show(queries.simple(_paths(home, network), "resume"), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode status --json")
def status(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Running? Round, accuracy, peers, last problem."""
    show(queries.status(_paths(home, network)), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode peers")
def peers(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Table of the other members, as this node sees them."""
    show(queries.peers(_paths(home, network)), as_json=as_json)


@app.command("id", rich_help_panel="Everyday", epilog="Example: p2pnode id")
def identity(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """My node ID, in full."""
    from node_daemon.identity_command import show_id

    show(show_id(_paths(home, network)), as_json=as_json)


@app.command(rich_help_panel="Everyday", epilog="Example: p2pnode logs -f")
def logs(
    home: Home = None,
    network: Network = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """The daemon's log, as JSON lines."""
    path = _paths(home, network).log
    if as_json and not follow:
        show(Answer({"path": str(path), "lines": list(queries.tail(path, lines))}, ""), as_json=True)
        return
    for text in queries.log_text(path, lines, is_followed=follow):
        sys.stdout.write(text)
        sys.stdout.flush()


@app.command("eval", rich_help_panel="Models", epilog="Example: p2pnode eval --json")
def evaluate(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """Evaluate the running node's present model on the test set."""
    show(queries.evaluate(_paths(home, network)), as_json=as_json)


@app.command(rich_help_panel="Help", epilog="Example: p2pnode version --json")
def version(as_json: AsJson = False) -> None:
    """Of the program, protocol, python, torch, platform."""
    show(queries.version(), as_json=as_json)


@config_app.command("show", epilog="Example: p2pnode config show --origin")
def config_show(
    home: Home = None,
    network: Network = None,
    config: ConfigFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value came from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Effective values of all settings."""
    from node_daemon import setup_commands
    from node_daemon.config import load_config

    found = load_config({"network.name": network}, home=home, file=config)
    show(setup_commands.show(found, has_origins=origin), as_json=as_json)


@config_app.command("path", epilog="Example: p2pnode config path")
def config_path(
    home: Home = None, network: Network = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Where the node's files are."""
    from node_daemon import setup_commands

    show(setup_commands.path(_paths(home, network, config), config), as_json=as_json)


@config_app.command("check", epilog="Example: p2pnode config check")
def config_check(
    home: Home = None, network: Network = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Validate everything that can be validated without starting."""
    from node_daemon import setup_commands
    from node_daemon.config import load_config

    found = load_config({"network.name": network}, home=home, file=config)
    show(setup_commands.check(found), as_json=as_json)


@config_app.command("set", epilog="Example: p2pnode config set network.port 7965")
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

    paths = _paths(home, network, config)
    show(setup_commands.change(paths, config, (key, value)), as_json=as_json)


@checkpoint_app.command("list", epilog="Example: p2pnode checkpoint list")
def checkpoint_list(home: Home = None, network: Network = None, as_json: AsJson = False) -> None:
    """The stored models, newest first."""
    from node_daemon import checkpoint_commands

    show(checkpoint_commands.list_stored(_paths(home, network)), as_json=as_json)


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
    from node_daemon.config import load_config

    settings = load_config({"network.name": network}, home=home, file=config)
    paths = find_paths(home=home, network=settings.settings.network.name)
    show(checkpoint_commands.export(settings, paths, file), as_json=as_json)


@checkpoint_app.command("verify", epilog="Example: p2pnode checkpoint verify")
def checkpoint_verify(
    file: Annotated[Path | None, typer.Argument(help="By default all that are stored.")] = None,
    home: Home = None,
    network: Network = None,
    as_json: AsJson = False,
) -> None:
    """Check stored models as a restart would."""
    from node_daemon import checkpoint_commands

    show(checkpoint_commands.verify(_paths(home, network), file), as_json=as_json)


@topology_app.command("list", epilog="Example: p2pnode topology list")
def topology_list(as_json: AsJson = False) -> None:
    """All families, with their options."""
    from node_daemon import topology_commands

    show(topology_commands.list_families(), as_json=as_json)


@topology_app.command("show", epilog="Example: p2pnode topology show torus --nodes 16 --plot torus.png")
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


@topology_app.command("compare", epilog="Example: p2pnode topology compare ring torus full_mesh --nodes 16")
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


def _paths(home: Path | None, network: str | None, config: Path | None = None) -> Paths:
    if home is not None and not home.is_dir():
        raise ConfigError(
            f"there is no folder {str(home)!r}", where="--home", fix=f"p2pnode init --home {home}"
        )
    return find_paths(home=home, network=network, config=config)


def _use_one_thread() -> None:
    for variable in THREADS:
        os.environ.setdefault(variable, "1")


def _serve_forks() -> NoReturn:
    from node_daemon.fork_server import serve

    raise typer.Exit(serve())


def _leave(code: int) -> NoReturn:
    """End now: a training under way in its thread does not hold up the end."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
