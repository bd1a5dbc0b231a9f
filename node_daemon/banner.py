"""What ``p2pnode start`` says first, to people on a terminal."""

from node_daemon.answers import Standing
from node_daemon.local_data import words
from node_daemon.paths import Paths
from p2pfl.identity.keys import short_id
from p2pfl.version import __version__


def text(standing: Standing, paths: Paths) -> str:
    """Who this node is, where it listens, what it learns, and how open it is."""
    settings, plan, work = standing.settings, standing.plan, standing.work
    network = settings.network
    state = (
        "nothing stored yet"
        if standing.resumed_round is None
        else f"resumed at round {standing.resumed_round}"
    )
    parameters = work.learner.schema.parameters
    budget = f"{plan.rounds} rounds" if plan.rounds else "without end"
    lines = [
        f"p2pnode {__version__}   node {standing.me.name}   ID {short_id(standing.me.id)}-…  "
        "(p2pnode id prints all of it)",
        f"network   {network.name}   topology {settings.topology.name}   "
        f"begins with {network.min_peers} nodes",
        f"listening {standing.address}   mdns {'on' if network.mdns else 'off'}   "
        f"static {len(network.static)}",
        f"protocol  {settings.protocol.name}, {budget}",
        f"model     {settings.task.name}, {parameters:,} parameters   data {words(settings)}: "
        f"{work.train_rows:,} train, {work.test_rows:,} test",
        f"state     {paths.state}   {state}",
        _openness(standing),
    ]
    if paths.note:
        lines.append(f"control   {paths.note}")
    return "\n".join(lines) + "\n"


def _openness(standing: Standing) -> str:
    if standing.mode != "open":
        by = "the network key decides" if standing.mode == "ticket" else "the lists of trust.toml decide"
        return f"security  TLS 1.3, mode {standing.mode}: {by} who gets in"
    if standing.settings.network.insecure:
        return "security  NONE (--insecure): whoever reaches this port can take part and read the models"
    return "security  mode open: this computer only, unencrypted; for others p2pnode init --mode ticket"
