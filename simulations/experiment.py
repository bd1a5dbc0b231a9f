"""A whole experiment from Python: which graph, protocol, data and faults give which accuracy at what cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Literal, Self

import networkx as nx
import numpy as np

import topologies
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.learning.learner import LearnerSetup, LearningTask
from p2pfl.protocols.push_sum import PushSum
from p2pfl.protocols.token import KIND as TOKEN
from p2pfl.versions import versions
from simulations.compute import Compute, compute_from
from simulations.event_engine import check_event, run_event
from simulations.experiment_table import arguments, check_kind, described, table_of
from simulations.faults import Faults, faults_from
from simulations.gossip import Gossip, membership_from
from simulations.local_training import DTYPES, Manner
from simulations.looked_up import task_from
from simulations.network import Network
from simulations.plain_data import Table
from simulations.process_engine import check_processes, run_processes
from simulations.progress import in_thread, shown
from simulations.result import Result
from simulations.schedule_check import check_schedule
from simulations.setting import (
    MAX_SEED,
    Choice,
    Options,
    Progress,
    Setting,
    about,
    by_lists,
    choice,
    learner_of,
    network_of,
    protocol_class,
    protocol_of,
    schedule_of,
    task_of,
    with_local_options,
)
from simulations.swarm import member_ids
from simulations.trust_lists import compiled
from simulations.vectorised_engine import check_vectorised, run_vectorised

BATCHED_FROM = 16  # nodes: fewer are as fast one by one, which is what daemons do
TRUST = ("list", "open")
WHOLE = ("rounds", "seed", "nodes", "evaluate_every", "evaluate_nodes")
EVALUATED_PURPOSE = 0x4556414C  # addresses the draw of the nodes that are evaluated


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to run an experiment: ``check`` raises ConfigError for what it cannot do."""

    check: Callable[[Setting], None]
    run: Callable[[Setting, int], Result]


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "event": Engine(check_event, run_event),
        "processes": Engine(check_processes, run_processes),
        "vectorised": Engine(check_vectorised, run_vectorised),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Settings of a run; ``run`` checks them all before anything is trained.

    ``topology`` is a networkx graph, a schedule, or a name, alone (then with ``nodes``) or in a table with
    options (``{"name": "partial_mesh", "nodes": 20, "degree": 4}``), or ``{"nodes": 2, "edges": [[0, 1]]}``;
    ``protocol``, ``task`` and
    ``partition`` are names or tables likewise, with import paths ``module:attribute`` for own ones.
    ``rounds`` (of a token: hops) defaults to the protocol's.  ``engine`` is ``event`` (virtual time, links
    as in ``network``), ``vectorised`` (the mathematics) or ``processes`` (real daemons).  In virtual time
    ``compute`` says how long trainings take, ``faults`` what is done to nodes and when, and ``membership``
    whether they know of each other (``fixed``) or by heartbeats and rumours (``gossip``).  With ``trust``
    ``list`` the edges of the graph stand for the nodes' lists of whom they accept and share with, as daemons
    have it with topology ``trust``: a node knows nothing else of the graph (``open``: all of it).

    ``evaluate_nodes`` nodes, drawn by the seed, are evaluated; by default all.  ``batched`` trains all nodes
    in one call: by default where the task allows it and there are 16 nodes or more, unless a token goes
    round.  ``device`` (``cpu``, ``cuda``) is where they train; the vectorised engine also mixes there, in
    ``dtype`` (``float32`` or ``float64``).
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
    trust: str = "open"
    nodes: int | None = None
    evaluate_every: int = 1
    evaluate_nodes: int | None = None
    batched: bool | None = None
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for key in WHOLE:
            found = getattr(self, key)
            if isinstance(found, np.integer):
                object.__setattr__(self, key, int(found))

    @classmethod
    def from_table(cls, table: Options) -> Self:
        """From a table of keyword arguments, as a file has it; raises ConfigError for an unknown key."""
        return cls(**arguments(table, [field.name for field in fields(cls)]))  # type: ignore[arg-type]

    def to_table(self) -> Table:
        """All arguments as plain data, which ``from_table`` takes; raises ConfigError for what is none."""
        return table_of(self._arguments())

    async def run_async(self, *, progress: Progress | Literal[False] | None = None) -> Result:
        """As ``run``, in a thread; cancelled, it ends the run, daemons included, before it returns."""
        return await in_thread(self.run, progress)

    def run(self, *, progress: Progress | Literal[False] | None = None) -> Result:
        """Run it to the end; raises ConfigError, naming the key, before any training.

        ``progress`` is called with (done, total) now and then; by default there is a bar on a terminal and in
        a notebook, and with ``False`` there is none.
        """
        setting = self.setting()
        with shown(progress) as report:
            result = ENGINES[self.engine].run(replace(setting, progress=report), self.evaluate_every)
        config = described(self._arguments())
        return replace(result, config=config, versions=versions(), graph=setting.schedule.graph(0))

    def setting(self) -> Setting:
        """All names looked up and all values checked, also by the engine; nothing trained yet."""
        for key, value in self._arguments().items():
            if key != "topology":  # which may be an object, and says more of it
                check_kind(key, value)
        if self.engine not in ENGINES:
            raise unknown_name("engine", str(self.engine), ENGINES, where="engine")
        _check_whole("evaluate_every", self.evaluate_every, least=0)
        _check_whole("seed", self.seed, least=0, most=MAX_SEED)
        schedule, protocol = self._graph_and_protocol()
        nodes = len(schedule.graph(0))
        make_protocol = protocol_of(protocol)
        rounds = protocol_class(protocol).default_rounds(nodes) if self.rounds is None else self.rounds
        _check_whole("rounds", rounds, least=1)
        check_schedule(schedule, rounds, sums_rows=not issubclass(protocol_class(protocol), PushSum))
        named = choice("task", self.task) if isinstance(self.task, str | Mapping) else None
        with about("task"):
            task = task_from(self.task, "task") if named is None else task_of(named)
        partition = choice("partition", self.partition)
        network, compute = network_of(self.network), compute_from(self.compute, nodes=nodes)
        faults, membership = faults_from(self.faults or {}, nodes=nodes), membership_from(self.membership)
        learner, samples = learner_of(
            task,
            partition,
            nodes,
            setup=LearnerSetup(seed=self.seed, rounds=rounds, device=self.device),
            manner=self._manner(nodes, is_token=TOKEN in protocol_class(protocol).bodies),
        )
        setting = Setting(
            schedule=schedule,
            lists=compiled(schedule.graph(0), member_ids(nodes)) if self.trust == "list" else None,
            protocol=protocol,
            make_protocol=make_protocol,
            task=named,
            partition=partition,
            learner=learner,
            initial=learner.initial(),
            network=network,
            rounds=rounds,
            seed=self.seed,
            compute=compute,
            faults=faults,
            membership=membership,
            samples=samples,
            evaluated=self._evaluated(nodes),
            device=self.device,
            is_double=self.dtype == "float64",
        )
        make_protocol(setting.setup(0))  # refuses wrong values of its options
        ENGINES[self.engine].check(setting)
        return setting

    def _graph_and_protocol(self) -> tuple[topologies.Schedule, Choice]:
        if self.trust not in TRUST:
            raise unknown_name("trust", str(self.trust), TRUST, where="trust")
        schedule = schedule_of(self.topology, nodes=self.nodes, seed=self.seed)
        protocol = choice("protocol", self.protocol)
        if self.trust == "open":
            return schedule, protocol
        return by_lists(schedule), with_local_options(protocol)

    def _manner(self, nodes: int, *, is_token: bool) -> Manner:
        if self.dtype not in DTYPES:
            raise unknown_name("dtype", str(self.dtype), DTYPES, where="dtype")
        pays = nodes >= BATCHED_FROM and not is_token
        return Manner(self.batched, self.dtype == "float64", pays)

    def _evaluated(self, nodes: int) -> frozenset[int] | None:
        if self.evaluate_nodes is None:
            return None
        _check_whole("evaluate_nodes", self.evaluate_nodes, least=1, most=nodes)
        random = np.random.default_rng([self.seed, EVALUATED_PURPOSE])
        return frozenset(random.choice(nodes, self.evaluate_nodes, replace=False).tolist())

    def _arguments(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _check_whole(key: str, found: object, *, least: int, most: int | None = None) -> None:
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if not is_whole or not least <= found <= (found if most is None else most):  # type: ignore[operator]
        limit = f"from {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{key} must be a whole number {limit}, not {found!r}", where=key)
