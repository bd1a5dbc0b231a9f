"""Faults that strike when a round is done: the same table for virtual time and for real daemons.

.. code-block:: toml

    [faults]
    crash = [{ node = 3, at_round = 5, restart_round = 9 }]    # SIGKILL
    leave = [{ nodes = [1, 2], at_round = 6 }]                  # SIGTERM; join_round
    suspend = [{ node = 4, at_round = 3, resume_round = 12 }]   # SIGSTOP, SIGCONT; real daemons only
    join = [{ node = 9, at_round = 4 }]                         # down until then
    restart = [{ node = 3, at_round = 20 }]

What ends a node strikes when that node itself has done the round, or, where it does not do every round (a
token), a later one.  What brings a node back happens when the first of all nodes has done that round, since
the node itself does none; never before it is down.  In virtual time a fault strikes in the instant of the
round; a daemon is struck as soon as its journal says so, which the others may have used for rounds of theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2pfl.errors import ConfigError, unknown_name

# verb -> the key of the round in which its end comes, and the verb of that end
ENDS: Mapping[str, tuple[str, str]] = {
    "crash": ("restart_round", "restart"),
    "leave": ("join_round", "join"),
    "suspend": ("resume_round", "resume"),
}
STARTS = ("join", "restart")
NODE_VERBS = (*ENDS, *STARTS)
AT_ROUND = "at_round"


@dataclass(frozen=True, slots=True)
class RoundFault:
    """What is done to one node when a round is done, and in which round that ends; ``where`` is its key."""

    verb: str
    node: int
    at_round: int
    end_round: int | None = None
    where: str = ""


class Triggers:
    """Turns rounds that nodes have done into what is to be done to nodes, each thing once."""

    def __init__(self, faults: Iterable[RoundFault]) -> None:
        faults = tuple(faults)
        self._ends = [fault for fault in faults if fault.verb in ENDS]
        self._starts = [fault for fault in faults if fault.verb not in ENDS]
        self._reached = 0  # by the first of all nodes

    @property
    def are_over(self) -> bool:
        """Is nothing left to come?"""
        return not self._ends and not self._starts

    def done(self, node: int, round: int) -> list[tuple[str, int]]:
        """A node has done a round: which verbs are due now, and for whom."""
        self._reached = max(self._reached, round)
        struck = [fault for fault in self._ends if fault.node == node and fault.at_round <= round]
        for fault in struck:
            self._ends.remove(fault)
            if fault.end_round is not None:
                verb = ENDS[fault.verb][1]
                self._starts.append(RoundFault(verb, node, fault.end_round, where=fault.where))
        begun = [fault for fault in self._starts if self._is_due(fault)]
        self._starts = [fault for fault in self._starts if fault not in begun]
        return [(fault.verb, fault.node) for fault in (*struck, *begun)]

    def _is_due(self, start: RoundFault) -> bool:
        is_down_first = all(e.node != start.node or e.at_round > start.at_round for e in self._ends)
        return start.at_round <= self._reached and is_down_first


def round_faults(
    verb: str, line: Mapping[str, object], *, where: str, nodes: Iterable[int]
) -> list[RoundFault]:
    """The faults of a line with ``at_round``; raises ConfigError naming the key."""
    end_key = ENDS[verb][0] if verb in ENDS else None
    known = [AT_ROUND, "node", "nodes", *([end_key] if end_key else [])]
    for key in line:
        if key not in known:
            raise unknown_name(f"option of {verb} at a round:", str(key), known, where=f"{where}.{key}")
    at_round = _round(line[AT_ROUND], f"{where}.{AT_ROUND}")
    end_round = None
    if end_key is not None and end_key in line:
        end_round = _round(line[end_key], f"{where}.{end_key}")
        if end_round <= at_round:
            raise ConfigError(
                f"{end_key} = {end_round} is not after at_round = {at_round}", where=f"{where}.{end_key}"
            )
    return [RoundFault(verb, node, at_round, end_round, where) for node in nodes]


def check_rounds(faults: Iterable[RoundFault], rounds: int) -> None:
    """Refuse a fault in a round that the run does not have."""
    for fault in faults:
        for found in (fault.at_round, fault.end_round or 0):
            if found > rounds:
                raise ConfigError(
                    f"{fault.verb} in round {found} of a run of {rounds} rounds",
                    where=fault.where,
                    fix=f"a round from 1 to {rounds}",
                )


def down_at_first(faults: Iterable[RoundFault]) -> frozenset[int]:
    """Nodes of which the first that happens is that they are started."""
    first: dict[int, RoundFault] = {}
    for fault in sorted(faults, key=lambda fault: fault.at_round):
        first.setdefault(fault.node, fault)
    return frozenset(node for node, fault in first.items() if fault.verb in STARTS)


def _round(found: object, where: str) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f"a round is a whole number from 1, not {found!r}", where=where)
    return found
