"""A whole experiment from Python: which graph, protocol, data and faults give which accuracy at what cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import networkx as nx

import topologies
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.learning.learner import LearningTask
from simulations.compute import Compute, compute_from
from simulations.event_engine import run_event
from simulations.faults import Faults, faults_from
from simulations.gossip import Gossip, membership_from
from simulations.network import Network
from simulations.process_engine import run_processes
from simulations.result import Result
from simulations.setting import (
    MAX_SEED,
    Options,
    Setting,
    choice,
    learners_of,
    network_of,
    protocol_class,
    protocol_of,
    schedule_of,
    task_of,
)
from simulations.vectorised_engine import run_vectorised

Engine: TypeAlias = Callable[[Setting, int], Result]

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {"event": run_event, "processes": run_processes, "vectorised": run_vectorised}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Settings of a run; ``run`` checks them all before anything is trained.

    ``topology`` is a networkx graph, a schedule, or a name, alone (then with ``nodes``) or in a table with
    options (``{"name": "partial_mesh", "nodes": 20, "degree": 4}``); ``protocol``, ``task`` and
    ``partition`` are names or tables likewise, with import paths ``module:attribute`` for own ones.
    ``rounds`` (of a token: hops) defaults to the protocol's.  ``engine`` is ``event`` (virtual time, links
    as in ``network``), ``vectorised`` (the mathematics) or ``processes`` (real daemons).  In virtual time
    ``compute`` says how long trainings take, ``faults`` what is done to nodes and when, and ``membership``
    whether they know of each other (``fixed``) or by heartbeats and rumours (``gossip``).
    """

    topology: nx.Graph | topologies.Schedule | str | Options = "ring"
    protocol: str | Options = "gossip_averaging"
    task: str | Options | LearningTask = "digits"
    partition: str | Options = "dirichlet"
    rounds: int | None = None
    seed: int = 0
    engine: str = "event"
    network: Network | Options | None = None
    compute: float | Options | Callable[[int, int], float] | Compute = 1.0
    faults: Options | Faults | None = None
    membership: str | Options | Gossip = "fixed"
    nodes: int | None = None
    evaluate_every: int = 1

    def run(self) -> Result:
        """Run it to the end; raises ConfigError, naming the key, before any training."""
        if self.engine not in ENGINES:
            raise unknown_name("engine", self.engine, ENGINES, where="engine")
        _check_whole("evaluate_every", self.evaluate_every, least=0)
        return ENGINES[self.engine](self.setting(), self.evaluate_every)

    def setting(self) -> Setting:
        """All names looked up and all values checked; nothing trained yet."""
        _check_whole("seed", self.seed, least=0, most=MAX_SEED)
        network = network_of(self.network)
        schedule = schedule_of(self.topology, nodes=self.nodes, seed=self.seed)
        nodes = len(schedule.graph(0))
        compute = compute_from(self.compute, nodes=nodes)
        faults = faults_from(self.faults or {}, nodes=nodes)
        membership = membership_from(self.membership)
        protocol = choice("protocol", self.protocol)
        make_protocol = protocol_of(protocol)
        rounds = protocol_class(protocol).default_rounds(nodes) if self.rounds is None else self.rounds
        _check_whole("rounds", rounds, least=1)
        named = choice("task", self.task) if isinstance(self.task, str | Mapping) else None
        task = self.task if named is None else task_of(named)
        assert not isinstance(task, str | Mapping)
        partition = choice("partition", self.partition)
        learners, samples = learners_of(task, partition, nodes, rounds=rounds, seed=self.seed)
        setting = Setting(
            schedule,
            protocol,
            make_protocol,
            named,
            partition,
            learners,
            learners[0].initial(),
            network,
            rounds,
            self.seed,
            compute,
            faults,
            membership,
            samples,
        )
        make_protocol(setting.setup(0))  # refuses wrong values of its options
        return setting


def _check_whole(key: str, found: object, *, least: int, most: int | None = None) -> None:
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if not is_whole or not least <= found <= (found if most is None else most):  # type: ignore[operator]
        limit = f"from {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{key} must be a whole number {limit}, not {found!r}", where=key)
