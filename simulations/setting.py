"""An experiment with every name looked up and every value checked: all that an engine needs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, cast

import networkx as nx
import numpy as np

import topologies
from p2pfl import registry
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import LearnerSetup, LearningTask
from p2pfl.learning.swarm_learner import SwarmLearner
from p2pfl.model import Model
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from simulations.compute import Compute
from simulations.faults import Faults
from simulations.gossip import Gossip
from simulations.graph_tables import graph_from
from simulations.local_training import Manner, swarm_data, swarm_learner
from simulations.looked_up import check_call, partition_named, protocol_named, task_named
from simulations.network import Network, network_from
from simulations.swarm import member_ids
from simulations.trust_lists import TrustLists
from topologies.schedules import Static

SPARSE_FROM = 256  # nodes from which W is sparse
MAX_SEED = 2**32 - 1

Options: TypeAlias = Mapping[str, object]
Progress: TypeAlias = Callable[[int, int], None]  # (done, of how many)


@dataclass(frozen=True, slots=True)
class Choice:
    """A name and its options, as a table of a config has them."""

    name: str
    options: Options

    def table(self) -> dict[str, object]:
        """Name and options in one table."""
        return {"name": self.name, **self.options}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What every engine works on; node i is member i, row i of W and of the models."""

    schedule: topologies.Schedule
    lists: TrustLists | None  # whom each node trusts, where that is the graph
    protocol: Choice
    make_protocol: Callable[[Setup], ExchangeProtocol]
    task: Choice | None  # None: an object of the caller's
    partition: Choice
    learner: SwarmLearner
    initial: Model
    network: Network
    rounds: int
    seed: int
    compute: Compute
    faults: Faults
    membership: Gossip | None  # None: a roster that never changes
    samples: tuple[int, ...]  # rows that each node trains on
    evaluated: frozenset[int] | None = None  # nodes whose models are; None: all
    device: str = "cpu"
    is_double: bool = False
    progress: Progress | None = None  # told now and then how far the run is; may raise to stop it

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.samples)

    @property
    def members(self) -> tuple[str, ...]:
        """Ids of the nodes, in their order."""
        return member_ids(self.nodes)

    def setup(self, number: int) -> Setup:
        """What the protocol of a node is constructed with."""
        combine = partial(aggregate, mean)
        setup = Setup(self.members[number], number, self.initial, self.seed, self.rounds, combine)
        return replace(setup, samples=self.samples[number])

    def report(self, done: int, total: int) -> None:
        """Say how far the run is."""
        if self.progress is not None:
            self.progress(done, total)

    def make_counted(self, setup: Setup) -> ExchangeProtocol:
        """The protocol of a node that knows how many rows it trains on."""
        return self.make_protocol(replace(setup, samples=self.samples[setup.number]))


@contextmanager
def about(key: str) -> Iterator[None]:
    """Errors of the operator in here name ``key`` unless they name a place themselves."""
    try:
        yield
    except ConfigError as error:
        if key not in error.where:  # a place in a file, or an option as a daemon's config has it
            error.facts = (*error.facts, f"in {key}") if error.where else error.facts
            error.where = error.where or key
        raise


def choice(key: str, found: str | Options) -> Choice:
    """A name, or a table with a name and options; raises ConfigError naming the key."""
    if isinstance(found, str):
        return Choice(found, {})
    options = dict(found)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{key} has no name", where=key, fix=f'{key} = {{"name": …, option: value}}')
    return Choice(name, options)


def schedule_of(topology: object, *, nodes: int | None, seed: int) -> topologies.Schedule:
    """A schedule over nodes 0 to N - 1 from a graph, a schedule, or a name with options.

    Raises ConfigError for an unknown name, a wrong size, or a graph that falls apart.
    """
    with about("topology"):
        if isinstance(topology, nx.Graph):
            return _static(topology, nodes)
        if isinstance(topology, Mapping) and "edges" in topology:
            return _static(graph_from(topology), nodes)
        if isinstance(topology, str | Mapping):
            named = choice("topology", topology)
            if named.name == "trust":
                raise ConfigError(
                    "a simulation has no trust.toml: a graph stands for the lists of its nodes",
                    fix='a digraph, and trust = "list"',
                )
            options = dict(named.options)
            size = options.pop("nodes", nodes)
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or nodes not in (None, size):
                raise ConfigError(
                    f"nodes = {nodes!r}, topology.nodes = {size!r}", fix="say how many nodes, once"
                )
            return _static(topologies.build(named.name, int(size), seed, **options), None)
        if callable(getattr(topology, "graph", None)) and callable(getattr(topology, "weights", None)):
            schedule = cast(topologies.Schedule, topology)
            _check_size(schedule.graph(0), nodes)
            return schedule
        raise ConfigError(f"{topology!r} is no graph, no schedule and no name of a topology")


def _static(graph: nx.Graph, nodes: int | None) -> topologies.Schedule:
    _check_size(graph, nodes)
    is_connected = nx.is_weakly_connected if graph.is_directed() else nx.is_connected
    if not is_connected(graph):
        find = nx.weakly_connected_components if graph.is_directed() else nx.connected_components
        parts = sorted((len(part) for part in find(graph)), reverse=True)
        raise ConfigError(
            f"the graph is disconnected: {len(parts)} parts, of {', '.join(map(str, parts[:5]))} nodes",
            fix="more edges, or one experiment per part",
        )
    numbered = nx.convert_node_labels_to_integers(graph)
    return topologies.static(numbered, sparse=len(graph) >= SPARSE_FROM)


def by_lists(schedule: topologies.Schedule) -> topologies.Schedule:
    """The graph as one-way trust has it: weights that every receiver can choose alone.

    Raises ConfigError for one that changes from round to round.
    """
    if not isinstance(schedule, Static):
        raise ConfigError(
            "trust lists are the same in every round", where="trust", fix='a graph, or trust = "open"'
        )
    graph = schedule.fixed_graph.to_directed()
    return topologies.static(graph, sparse=len(graph) >= SPARSE_FROM)


def with_local_options(found: Choice) -> Choice:
    """The protocol with options for nodes that know their own neighbours alone; raises ConfigError."""
    with about("protocol"):
        local = registry.local_options(found.name, protocol_named(found.name), given=found.options)
        return Choice(found.name, {**local, **found.options})


def _check_size(graph: nx.Graph, nodes: int | None) -> None:
    if not len(graph):
        raise ConfigError("the graph has no nodes")
    if nodes not in (None, len(graph)):
        raise ConfigError(f"nodes = {nodes}, but the graph has {len(graph)}", fix="leave nodes out")


def protocol_of(found: Choice) -> Callable[[Setup], ExchangeProtocol]:
    """The protocol's constructor with its options; raises ConfigError for an unknown name or option."""
    with about("protocol"):
        make = protocol_named(found.name)
        registry.check_options("protocol", found.name, make, options=found.options)
        check_call("protocol", found.name, make, "setup", **found.options)
        return partial(make, **found.options)


def protocol_class(found: Choice) -> type[ExchangeProtocol]:
    """The class that the choice names."""
    return protocol_named(found.name)


def task_of(found: Choice) -> LearningTask:
    """The task with its options; raises ConfigError for an unknown name or option, or a wrong value."""
    with about("task"):
        return task_named(found.name, **found.options)


def learner_of(
    task: LearningTask, partition: Choice, nodes: int, *, setup: LearnerSetup, manner: Manner
) -> tuple[SwarmLearner, tuple[int, ...]]:
    """The learners of all nodes on their parts of the training rows, and how many rows each has."""
    with about("task"):
        data = task.dataset()
    with about("partition"):
        split = partition_named(partition.name, **partition.options)
        parts = swarm_data(data, split, nodes, seed=setup.seed, **partition.options)
    try:
        with about("task"):
            return swarm_learner(task, parts, setup, manner=manner), tuple(map(len, parts.rows))
    except ConfigError as error:
        if error.where == "node.device":  # as a daemon's config calls it
            error.where = "device"
        raise


def network_of(found: Network | Options | None) -> Network:
    """A network from its options; perfect by default."""
    if isinstance(found, Network):
        return found
    return network_from(found or {})


def check_undisturbed(setting: Setting, why: str) -> None:
    """Refuse what only virtual time can do, naming its key."""
    for key, is_asked_for in (
        ("network", setting.network != Network()),
        ("faults", setting.faults != Faults()),
        ("membership", setting.membership is not None),
        ("compute", setting.compute != Compute()),
    ):
        if is_asked_for:
            raise ConfigError(f"{why}: no {key}", where=key, fix=f'engine = "event", or no {key}')
