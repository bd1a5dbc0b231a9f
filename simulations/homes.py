"""What daemons on this machine are told: one home per node, and one graph file for all.

A home is what a user has: a folder with ``p2pnode.toml``.  Nothing else connects a simulation with a daemon.
"""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import networkx as nx
import tomlkit

from p2pfl.errors import ConfigError

LOOPBACK = "127.0.0.1"
GRAPH_NAME = "graph.json"
CONFIG_NAME = "p2pnode.toml"
TRUST_NAME = "trust.toml"
OPEN = 'version = 1\nmode = "open"\n'  # loopback: nobody else is there to be kept out
NETWORK_PREFIX = "local"
FULL_LINKING = 16  # nodes up to which each is told the addresses of all
CROWDED_S = 30.0  # for a connection and a greeting among so many
COMPANY = 2  # members with which a node begins that comes when the others are under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One run on this machine; daemon i is node i of ``graph``, whose nodes are 0 to N - 1.

    ``protocol``, ``task`` and ``partition`` are tables as in the config: a name, and options beside it.
    Two runs with different ``network`` names do not see each other.  ``late`` are nodes that are not started
    with the others, which do not wait for them.
    """

    graph: nx.Graph
    protocol: Mapping[str, object] = field(default_factory=lambda: {"name": "gossip_averaging"})
    rounds: int | None = None
    task: Mapping[str, object] = field(default_factory=lambda: {"name": "digits"})
    partition: Mapping[str, object] = field(default_factory=lambda: {"name": "dirichlet"})
    seed: int = 0
    discovery: Literal["mdns", "static"] = "static"
    network: str = field(default_factory=lambda: f"{NETWORK_PREFIX}-{os.urandom(4).hex()}")
    is_deterministic: bool = False
    device: str = "cpu"
    evaluate_every: int = 1
    late: frozenset[int] = frozenset()

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.graph)


def node_name(number: int) -> str:
    """What node ``number`` is called, in its config and in the graph file."""
    return f"node-{number}"


def write_homes(deployment: Deployment, folder: Path) -> list[Path]:
    """Make the graph file and a home per node in ``folder``; the homes, in the order of the nodes."""
    if sorted(deployment.graph) != list(range(deployment.nodes)):
        raise ConfigError(
            f"the nodes of the graph must be 0 to {deployment.nodes - 1}",
            fix="networkx.convert_node_labels_to_integers(graph)",
        )
    _write_graph(deployment.graph, folder / GRAPH_NAME)
    ports = free_ports(deployment.nodes) if deployment.discovery == "static" else [0] * deployment.nodes
    homes = []
    for number in range(deployment.nodes):
        home = folder / node_name(number)
        home.mkdir(mode=0o700)
        config = _config(deployment, number, folder=folder, ports=ports)
        (home / CONFIG_NAME).write_text(tomlkit.dumps(config), "utf-8")
        (home / TRUST_NAME).write_text(OPEN, "utf-8")
        homes.append(home)
    return homes


def begin_with_company(home: Path) -> None:
    """Have the node of ``home`` begin as soon as it has any company: the others are under way, or gone."""
    path = home / CONFIG_NAME
    config = tomlkit.parse(path.read_text("utf-8"))
    config["network"]["min_peers"] = COMPANY
    path.write_text(tomlkit.dumps(config), "utf-8")


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody holds now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _write_graph(graph: nx.Graph, path: Path) -> None:
    """Node-link JSON over node names, nodes in the order of their numbers."""
    named = graph.__class__()
    named.add_nodes_from(node_name(number) for number in sorted(graph))
    named.add_edges_from((node_name(u), node_name(v)) for u, v in graph.edges)
    path.write_text(json.dumps(nx.node_link_data(named, edges="edges")), "utf-8")


def _told(deployment: Deployment, number: int) -> list[int]:
    """Whose addresses a node is told: of many its neighbours' and a few more; rumours tell it the others'.

    All by all would be N x N connections, of which each node keeps a handful.
    """
    nodes, graph = deployment.nodes, deployment.graph
    if nodes <= FULL_LINKING:
        return [other for other in range(nodes) if other != number]
    more = {(number + step) % nodes for step in (-1, 1, nodes // 2)}
    return sorted({*nx.all_neighbors(graph, number), *more} - {number})


def _config(
    deployment: Deployment, number: int, *, folder: Path, ports: list[int]
) -> dict[str, dict[str, object]]:
    partition = dict(deployment.partition)
    company = COMPANY if number in deployment.late else deployment.nodes - len(deployment.late)
    config: dict[str, dict[str, object]] = {
        "node": {
            "name": node_name(number),
            "number": number,
            "deterministic": deployment.is_deterministic,
            "device": deployment.device,
            "evaluate_every": deployment.evaluate_every,
        },
        "network": {
            "name": deployment.network,
            "port": ports[number],
            "static": [f"tcp://{LOOPBACK}:{ports[i]}" for i in _told(deployment, number) if ports[i]],
            "mdns": deployment.discovery == "mdns",
            "min_peers": company,
            "seed": deployment.seed,
        },
        "topology": {"name": "file", "path": str(folder / GRAPH_NAME)},
        "protocol": dict(deployment.protocol),
        "task": dict(deployment.task),
        "data": {
            "part": number,
            "parts": deployment.nodes,
            "partition": partition.pop("name"),
            "options": partition,
        },
    }
    if deployment.rounds is not None:
        config["protocol"]["rounds"] = deployment.rounds
    if deployment.nodes > FULL_LINKING:  # more processes than processors: none answers at once
        config["limits"] = {
            "connect_s": CROWDED_S,
            "handshake_s": CROWDED_S,
            "loopback_times": deployment.nodes,
        }
    return config
