"""What is done to the nodes of a simulation, and when: a table of plain data, checked before the start.

.. code-block:: toml

    [faults]
    crash = [{ node = 3, at_s = 20.0, restart_s = 35.0 }]
    leave = [{ nodes = [1, 2], at_s = 60.0 }]
    join = [{ node = 9, at_s = 40.0 }]                     # down until then
    partition = [{ groups = [[0, 1, 2], [3, 4]], at_s = 10.0, heal_s = 30.0 }]
    partition_oneway = [{ from = [0], to = [1, 2], at_s = 50.0 }]
    heal = [{ at_s = 90.0 }]
    churn = { up_s = 300.0, down_s = 60.0, share = 0.5 }   # simulations.churn
    availability = "machines.csv"                          # likewise

Nodes are numbers from 0.  ``restart`` is there by itself too.  What is done to nodes (not partitions) may
come at a round instead of a time, ``at_round = 5``: see ``simulations.round_faults``, whose faults alone real
daemons can suffer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import Protocol

from p2pfl.errors import ConfigError, unknown_name
from simulations.churn import TIME, Churn, ChurnTimes, Periods, churn_from, read_availability
from simulations.round_faults import (
    AT_ROUND,
    NODE_VERBS,
    STARTS,
    RoundFault,
    Triggers,
    check_rounds,
    down_at_first,
    round_faults,
)

# verb -> its keys that are needed, and those that may be left out; node and nodes are either of them
VERBS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "crash": (("at_s",), ("node", "nodes", "restart_s")),
    "heal": (("at_s",), ()),
    "join": (("at_s",), ("node", "nodes")),
    "leave": (("at_s",), ("node", "nodes", "join_s")),
    "partition": (("at_s", "groups"), ("heal_s",)),
    "partition_oneway": (("at_s", "from", "to"), ("heal_s",)),
    "restart": (("at_s",), ("node", "nodes")),
}
LATER = ("restart_s", "join_s", "heal_s")  # keys with the time of the end
PLANS = ("availability", "churn")
KNOWN = sorted({*VERBS, *NODE_VERBS, *PLANS})


class Faulty(Protocol):
    """What faults ask of a simulator."""

    @property
    def members(self) -> tuple[str, ...]:
        """All members, in the order of their numbers."""
        ...

    def crash(self, member: str, *, at_s: float | None = None) -> None:
        """Kill a member."""
        ...

    def leave(self, member: str, *, at_s: float | None = None) -> None:
        """A member says good-bye."""
        ...

    def restart(self, member: str, *, at_s: float | None = None) -> None:
        """Start a member from what it stored."""
        ...

    def join(self, member: str, *, at_s: float | None = None) -> None:
        """Start a member afresh."""
        ...

    def partition(
        self, groups: Sequence[Collection[str]], *, at_s: float | None = None, heal_s: float | None = None
    ) -> None:
        """Nothing passes between groups."""
        ...

    def partition_oneway(
        self,
        senders: Collection[str],
        receivers: Collection[str],
        *,
        at_s: float | None = None,
        heal_s: float | None = None,
    ) -> None:
        """Nothing passes from these to those."""
        ...

    def heal(self, *, at_s: float | None = None) -> None:
        """End all partitions."""
        ...

    def call(self, action: Callable[[], None], *, at_s: float) -> None:
        """Do anything at a virtual time, which may do so again, for as long as the run lasts."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the table: a verb, when, on which groups of nodes, and when it ends."""

    verb: str
    at_s: float
    groups: tuple[tuple[int, ...], ...] = ()
    end_s: float | None = None
    where: str = ""  # its key


@dataclass(frozen=True, slots=True)
class Faults:
    """All that is done to the nodes of one run; the default is nothing."""

    faults: tuple[Fault, ...] = ()
    churn: Churn | None = None
    availability: Periods = field(default_factory=dict)
    by_round: tuple[RoundFault, ...] = ()

    @property
    def down(self) -> frozenset[int]:
        """Nodes that are not there at the beginning: first of all they join, or restart."""
        first: dict[int, Fault] = {}
        for fault in sorted(self.faults, key=lambda fault: fault.at_s):
            if fault.verb in (*STARTS, "crash", "leave"):
                for node in fault.groups[0]:
                    first.setdefault(node, fault)
        late = {node for node, fault in first.items() if fault.verb in STARTS}
        late |= down_at_first(self.by_round) - first.keys()
        return frozenset(late | {node for node, periods in self.availability.items() if periods[0][0] > 0})

    @property
    def is_timed(self) -> bool:
        """Does anything happen at a virtual time?"""
        return bool(self.faults or self.churn or self.availability)

    def triggers(self, rounds: int) -> Triggers:
        """What happens at rounds; raises ConfigError for a round that the run does not have."""
        check_rounds(self.by_round, rounds)
        return Triggers(self.by_round)

    def check_virtual(self) -> None:
        """Refuse what virtual time does not know."""
        for fault in self.by_round:
            if fault.verb == "suspend":
                raise ConfigError(
                    "a simulated node cannot be suspended",
                    where=fault.where,
                    fix='engine = "processes", or crash with restart_round',
                )

    def check_real(self) -> None:
        """Refuse what real daemons cannot suffer, naming the key."""
        for fault in self.faults:
            is_of_nodes = fault.verb in NODE_VERBS
            raise ConfigError(
                f"{fault.verb} of real daemons at a virtual time"
                if is_of_nodes
                else f"no {fault.verb} of daemons",
                where=fault.where,
                fix='at_round = 5, or engine = "event"' if is_of_nodes else 'engine = "event"',
            )
        for key, found in (("churn", self.churn), ("availability", self.availability)):
            if found:
                raise ConfigError(
                    f"real daemons have no {key}, which goes by virtual time",
                    where=f"faults.{key}",
                    fix='crash with at_round and restart_round, or engine = "event"',
                )

    def schedule(self, simulator: Faulty, *, seed: int) -> None:
        """Have happen what goes by time; the simulator was made with ``down``."""
        for fault in self.faults:
            _schedule_one(simulator, fault)
        for node, periods in self.availability.items():
            member = simulator.members[node]
            for up_s, down_s in periods:
                if up_s > 0:
                    simulator.restart(member, at_s=up_s)
                if down_s < inf:
                    simulator.crash(member, at_s=down_s)
        if self.churn is not None:
            for node, member in enumerate(simulator.members):
                times = ChurnTimes(self.churn, node, seed)
                if times.is_affected:
                    _come_and_go(simulator, member, times, verb=self.churn.verb, now_s=self.churn.from_s)


def faults_from(found: object, *, nodes: int) -> Faults:
    """The faults that a config says; raises ConfigError naming the key."""
    faults = found if isinstance(found, Faults) else _faults(found, nodes=nodes)
    by_time = {node for fault in faults.faults if fault.verb in STARTS for node in fault.groups[0]}
    if faults.churn is None and len(faults.down - by_time - faults.availability.keys()) == nodes:
        raise ConfigError(
            "nobody would ever begin: all nodes are down until one of them has done a round",
            where=min(fault.where for fault in faults.by_round),
            fix="leave one node out, or say at_s",
        )
    return faults


def _faults(found: object, *, nodes: int) -> Faults:
    if not isinstance(found, Mapping):
        raise ConfigError(f"faults must be a table, not {found!r}", where="faults")
    faults: list[Fault | RoundFault] = []
    for key, value in found.items():
        if key not in KNOWN:
            raise unknown_name("fault", str(key), KNOWN, where=f"faults.{key}")
        if key not in PLANS:
            lines = [value] if isinstance(value, Mapping) else value
            if not isinstance(lines, Sequence) or isinstance(lines, str):
                raise ConfigError(f"{key} must be a list of tables, not {value!r}", where=f"faults.{key}")
            for i, line in enumerate(lines):
                faults += _line(key, line, where=f"faults.{key}[{i}]", nodes=nodes)
    churn = found.get("churn")
    if churn is not None and not isinstance(churn, Mapping):
        raise ConfigError(f"churn must be a table, not {churn!r}", where="faults.churn")
    path = found.get("availability")
    if path is not None and not isinstance(path, str | Path):
        raise ConfigError(
            f"availability must be the name of a file, not {path!r}", where="faults.availability"
        )
    return Faults(
        tuple(fault for fault in faults if isinstance(fault, Fault)),
        None if churn is None else churn_from(churn),
        {} if path is None else read_availability(Path(path), nodes=nodes),
        tuple(fault for fault in faults if isinstance(fault, RoundFault)),
    )


def _schedule_one(simulator: Faulty, fault: Fault) -> None:
    groups = [[simulator.members[node] for node in group] for group in fault.groups]
    match fault.verb:
        case "partition":
            simulator.partition(groups, at_s=fault.at_s, heal_s=fault.end_s)
        case "partition_oneway":
            simulator.partition_oneway(*groups, at_s=fault.at_s, heal_s=fault.end_s)
        case "heal":
            simulator.heal(at_s=fault.at_s)
        case verb:
            for member in groups[0]:
                _ways(simulator, member)[verb](at_s=fault.at_s)
                if fault.end_s is not None:
                    _ways(simulator, member)["join" if verb == "leave" else "restart"](at_s=fault.end_s)


def strike(simulator: Faulty, member: str, verb: str) -> None:
    """Do something to a member now."""
    _ways(simulator, member)[verb]()


def _ways(simulator: Faulty, member: str) -> Mapping[str, Callable[..., None]]:
    ways = (simulator.crash, simulator.join, simulator.leave, simulator.restart)
    return {way.__name__: partial(way, member) for way in ways}


def _come_and_go(simulator: Faulty, member: str, times: ChurnTimes, *, verb: str, now_s: float) -> None:
    """The next time that a member goes down and comes back, and so on as long as the run lasts."""
    following = times.next(now_s)
    if following is None:
        return
    down_s, back_s = following

    def go() -> None:
        _ways(simulator, member)[verb]()
        _ways(simulator, member)["join" if verb == "leave" else "restart"](at_s=back_s)
        _come_and_go(simulator, member, times, verb=verb, now_s=back_s)

    simulator.call(go, at_s=down_s)


def _line(verb: str, line: object, *, where: str, nodes: int) -> Sequence[Fault | RoundFault]:
    if not isinstance(line, Mapping):
        raise ConfigError(f"{line!r} is no table", where=where)
    if AT_ROUND in line and verb in NODE_VERBS:
        if "at_s" in line:
            raise ConfigError(f"{verb} at a time and at a round", where=where, fix="at_s or at_round")
        (struck,) = _groups(verb, line, where=where, nodes=nodes)
        return round_faults(verb, line, where=where, nodes=struck)
    if verb not in VERBS:
        raise ConfigError(f"{verb} has no at_round", where=f"{where}.at_round")
    if AT_ROUND in line:
        raise ConfigError(f"{verb} goes by time", where=f"{where}.at_round", fix="at_s = 10.0")
    return [_fault(verb, line, where=where, nodes=nodes)]


def _fault(verb: str, line: Mapping[str, object], *, where: str, nodes: int) -> Fault:
    needed, optional = VERBS[verb]
    for key in line:
        if key not in (*needed, *optional):
            raise unknown_name(f"option of {verb}:", str(key), [*needed, *optional], where=f"{where}.{key}")
    for key in needed:
        if key not in line:
            raise ConfigError(f"{verb} has no {key}", where=f"{where}.{key}")
    at_s = TIME.demand(line["at_s"], f"{where}.at_s")
    ends = [key for key in LATER if key in line]
    end_s = TIME.demand(line[ends[0]], f"{where}.{ends[0]}") if ends else None
    if end_s is not None and end_s <= at_s:
        raise ConfigError(f"{ends[0]} = {end_s} is not after at_s = {at_s}", where=f"{where}.{ends[0]}")
    return Fault(verb, at_s, _groups(verb, line, where=where, nodes=nodes), end_s, where)


def _groups(verb: str, line: Mapping[str, object], *, where: str, nodes: int) -> tuple[tuple[int, ...], ...]:
    if verb == "heal":
        return ()
    if verb == "partition":
        groups = line["groups"]
        if not isinstance(groups, Sequence) or isinstance(groups, str) or not groups:
            raise ConfigError(f"groups = {groups!r} is no list of groups", where=f"{where}.groups")
        parts = tuple(_numbers(group, f"{where}.groups", nodes) for group in groups)
        members = [node for part in parts for node in part]
        if len(set(members)) < len(members):
            raise ConfigError("a node stands in two groups", where=f"{where}.groups")
        return parts
    if verb == "partition_oneway":
        return _numbers(line["from"], f"{where}.from", nodes), _numbers(line["to"], f"{where}.to", nodes)
    if ("node" in line) == ("nodes" in line):
        raise ConfigError(f"{verb} needs node or nodes", where=f"{where}.node")
    key = "node" if "node" in line else "nodes"
    return (_numbers([line[key]] if key == "node" else line[key], f"{where}.{key}", nodes),)


def _numbers(found: object, where: str, nodes: int) -> tuple[int, ...]:
    listed = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    numbers: list[int] = []
    for node in listed:
        if isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < nodes:
            raise ConfigError(f"there is no node {node!r}", where=where, fix=f"nodes are 0 to {nodes - 1}")
        numbers.append(node)
    return tuple(numbers)
