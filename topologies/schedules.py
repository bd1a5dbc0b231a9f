"""Graphs that may change from round to round, and the weights that belong to them."""

from dataclasses import dataclass
from typing import Protocol

import networkx as nx

from topologies.mixing import Matrix, mixing_weights


class Schedule(Protocol):
    """Who may talk to whom in which round, and with what weight."""

    def graph(self, round: int) -> nx.Graph:
        """The graph of a round; its nodes are the same in every round."""
        ...

    def weights(self, round: int) -> Matrix:
        """W of a round: receiver convention, in the order of the graph's nodes; never changed in place."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Static:
    """The same graph and weights in every round."""

    fixed_graph: nx.Graph
    fixed_weights: Matrix

    def graph(self, round: int) -> nx.Graph:  # noqa: ARG002
        """The one graph."""
        return self.fixed_graph

    def weights(self, round: int) -> Matrix:  # noqa: ARG002
        """The one W."""
        return self.fixed_weights


def static(graph: nx.Graph, *, sparse: bool = False) -> Static:
    """The constant schedule: Metropolis weights on a graph, receive weights on a digraph."""
    return Static(graph, mixing_weights(graph, sparse=sparse))
