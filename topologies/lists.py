"""A graph as what it asks of every node's owner: whose models to accept, and with whom to share."""

from collections.abc import Hashable
from dataclasses import dataclass

import networkx as nx


@dataclass(frozen=True, slots=True)
class Lists:
    """The two lists of one node, as nodes of the graph."""

    accept_from: frozenset[Hashable]
    share_with: frozenset[Hashable]


def trust_lists(graph: nx.Graph) -> dict[Hashable, Lists]:
    """The lists of every node: u -> v says that u shares with v and v accepts from u."""
    arrows = graph if graph.is_directed() else graph.to_directed(as_view=True)
    return {
        node: Lists(
            frozenset(arrows.predecessors(node)) - {node}, frozenset(arrows.successors(node)) - {node}
        )
        for node in graph
    }
