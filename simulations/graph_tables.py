"""Graphs as plain data: ``{"nodes": 3, "edges": [[0, 1], [1, 2]], "directed": false}``, nodes by number."""

from collections.abc import Mapping

import networkx as nx

from p2pfl.errors import ConfigError, unknown_name
from simulations.plain_data import Table

KEYS = ("directed", "edges", "nodes")
FORM = "topology = { nodes = 3, edges = [[0, 1], [1, 2]], directed = false }"


def graph_table(graph: nx.Graph) -> Table:
    """A graph as plain data; node i is the i-th of the graph, whatever its name."""
    number = {node: i for i, node in enumerate(graph)}
    return {
        "nodes": len(graph),
        "edges": [[number[u], number[v]] for u, v in graph.edges()],
        "directed": graph.is_directed(),
    }


def graph_from(table: Mapping[str, object]) -> nx.Graph:
    """The graph of such a table; raises ConfigError that names the key."""
    for key in table:
        if key not in KEYS:
            raise unknown_name("key of a graph:", str(key), KEYS, where=f"topology.{key}")
    nodes, edges = table.get("nodes"), table.get("edges")
    directed = table.get("directed", False)
    if not isinstance(nodes, int) or isinstance(nodes, bool) or nodes < 1:
        raise ConfigError(
            f"nodes must be a whole number from 1, not {nodes!r}", where="topology.nodes", fix=FORM
        )
    if not isinstance(directed, bool):
        raise ConfigError(f"directed must be true or false, not {directed!r}", where="topology.directed")
    if not isinstance(edges, list | tuple):
        raise ConfigError(f"edges must be a list of pairs, not {edges!r}", where="topology.edges", fix=FORM)
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(_edge(found, nodes) for found in edges)
    return graph


def _edge(found: object, nodes: int) -> tuple[int, int]:
    match found:
        case [int(u), int(v)] if 0 <= u < nodes and 0 <= v < nodes:
            return u, v
        case _:
            raise ConfigError(
                f"no edge between two of nodes 0 to {nodes - 1}: {found!r}", where="topology.edges", fix=FORM
            )
