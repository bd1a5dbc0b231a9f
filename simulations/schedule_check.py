"""Graphs and weights of the caller's own, held to what averaging needs before anything is trained."""

import networkx as nx
import numpy as np

import topologies
from p2pfl.errors import ConfigError
from topologies.mixing import Matrix
from topologies.schedules import Static

CHECKED_ROUNDS = 64  # of which graph and weights are looked at one by one
TOLERANCE = 1e-6  # of the sum of a row, as while it runs


def check_schedule(schedule: topologies.Schedule, rounds: int, *, sums_rows: bool = True) -> None:
    """Raise ConfigError for a wrong size or sum in the first rounds, or graphs that never connect all.

    Without ``sums_rows`` only who sends to whom counts, as in push-sum.
    """
    if isinstance(schedule, Static):
        rounds = 1
    nodes = list(schedule.graph(0))
    for done in range(min(rounds, CHECKED_ROUNDS)):
        if set(schedule.graph(done)) != set(nodes):
            raise ConfigError(
                f"the graph of round {done} has other nodes than that of round 0",
                where="topology",
                facts=[f"{len(schedule.graph(done))} nodes, and {len(nodes)} in round 0"],
            )
        W = schedule.weights(done)
        _check_shape(W, len(nodes), done)
        if sums_rows:
            _check_sums(W, done)
    _check_connected(schedule, rounds)


def _check_shape(W: Matrix, nodes: int, done: int) -> None:
    shape = np.shape(W)
    if shape != (nodes, nodes):
        raise ConfigError(
            f"the weights of round {done} have the shape {shape}; allowed: ({nodes}, {nodes})",
            where="topology",
        )


def _check_sums(W: Matrix, done: int) -> None:
    sums = np.asarray(W.sum(axis=1)).ravel()
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= TOLERANCE))  # also where it is no number
    if len(wrong):
        row = int(wrong[0])
        raise ConfigError(
            f"row {row} of the weights of round {done} sums to {sums[row]:.6g}, not 1",
            where="topology",
            fix="W[i, j] is what node i gives to the model of node j, and W[i, i] to its own",
        )


def _check_connected(schedule: topologies.Schedule, rounds: int) -> None:
    """All graphs together, until they connect all nodes: mostly those of a few rounds.

    No edge at all is what together is compared with: everybody alone.
    """
    parts = nx.utils.UnionFind(schedule.graph(0))
    left = len(schedule.graph(0)) - 1
    for done in range(rounds):
        for one, other in schedule.graph(done).edges:
            left -= parts[one] != parts[other]
            parts.union(one, other)
        if not left:
            return
    if left == len(schedule.graph(0)) - 1:
        return
    raise ConfigError(
        f"the graph is disconnected: {left + 1} parts"
        + (f", in all {rounds} rounds together" if rounds > 1 else ""),
        where="topology",
        fix="more edges, more rounds, or one experiment per part",
    )
