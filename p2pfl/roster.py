"""From members and mixing weights to neighbourhoods: who sends to whom, with what weight.

The roster is the sorted list of live members.  A graph is a pure function of it, so that equal rosters
give equal graphs without a message.  The graph of one-way trust is no such function: each node knows its own
edges.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import ConfigError
from p2pfl.events import Neighbourhood
from p2pfl.model import Scalar

KEPT_ROUNDS = 4  # rounds of a time-varying graph whose weights are kept

_NOBODY = Neighbourhood((), {}, 1.0)


class CoordinateWeights(Protocol):
    """Mixing weights as three arrays of equal length (scipy's COO)."""

    row: NDArray[np.integer]
    col: NDArray[np.integer]
    data: NDArray[np.float64]


class SparseWeights(Protocol):
    """Sparse mixing weights, such as scipy's CSR."""

    def tocoo(self) -> CoordinateWeights:
        """The same weights as coordinates."""
        ...


class Schedule(Protocol):
    """Mixing weights per round: W[i, j] is what node i gives to the message from node j."""

    def weights(self, round: int) -> NDArray[np.float64] | SparseWeights:
        """W [N, N] in the order of the members, dense or sparse."""
        ...


def _coordinates(
    weights: NDArray[np.float64] | SparseWeights,
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float64]]:
    if isinstance(weights, np.ndarray):
        row, column = np.nonzero(weights)
        return row, column, weights[row, column]
    coordinates = weights.tocoo()
    return coordinates.row, coordinates.col, coordinates.data


class _Mixing:
    """The weights of one round, sorted for look-up by receiver and by sender."""

    def __init__(self, weights: NDArray[np.float64] | SparseWeights, count: int) -> None:
        self.weights = weights
        row, column, data = _coordinates(weights)
        by_row = np.lexsort((column, row))
        by_column = np.lexsort((row, column))
        self.senders = column[by_row]
        self.given = data[by_row]
        self.row_start = np.searchsorted(row[by_row], np.arange(count + 1))
        self.receivers = row[by_column]
        self.column_start = np.searchsorted(column[by_column], np.arange(count + 1))
        self.neighbourhoods: dict[str, Neighbourhood] = {}


class GraphWiring:
    """The graph over a fixed set of members, as neighbourhoods; shared by all nodes of a simulation.

    ``members`` stand in the order of the rows of the schedule's weights.  An entry W[i, j] != 0 with
    i != j is an edge j -> i.
    """

    def __init__(self, members: Sequence[str], schedule: Schedule) -> None:
        self.members = tuple(members)
        self.everyone = frozenset(members)
        self.roster: list[Scalar] = sorted(members)  # for snapshots: one list for all nodes, never changed
        self._schedule = schedule
        self._index = {member: i for i, member in enumerate(self.members)}
        # Replaced, never changed: the node's thread and whoever asks for its status may look at once.
        self._kept: Mapping[int, _Mixing] = {}
        if len(self._index) != len(self.members):
            raise ConfigError("a member stands twice in the graph")

    def neighbourhood(self, round: int, of: str) -> Neighbourhood:
        """Whom ``of`` sends to and what it gives to each message it receives in ``round``."""
        if of not in self._index:
            return _NOBODY
        mixing = self._kept.get(round)
        if mixing is None:
            mixing = self._mix(round)
        found = mixing.neighbourhoods.get(of)
        if found is None:
            found = mixing.neighbourhoods[of] = self._build(mixing, self._index[of])
        return found

    def _mix(self, round: int) -> _Mixing:
        weights, kept = self._schedule.weights(round), self._kept
        # A constant schedule returns the same object every round: its work is done once.
        same = (mixing for mixing in kept.values() if mixing.weights is weights)
        found = next(same, None) or _Mixing(weights, len(self.members))
        self._kept = dict([*kept.items(), (round, found)][-KEPT_ROUNDS:])
        return found

    def _build(self, mixing: _Mixing, i: int) -> Neighbourhood:
        row = slice(mixing.row_start[i], mixing.row_start[i + 1])
        weights = dict(zip(mixing.senders[row].tolist(), mixing.given[row].tolist(), strict=True))
        self_weight = weights.pop(i, 0.0)
        column = slice(mixing.column_start[i], mixing.column_start[i + 1])
        send_to = tuple(self.members[k] for k in mixing.receivers[column].tolist() if k != i)
        return Neighbourhood(send_to, {self.members[j]: w for j, w in weights.items()}, self_weight)


class TrustWiring:
    """The edges of one node in the graph of one-way trust, which knows no others and needs no roster.

    ``send_to`` and ``receive_from`` are linked peers; what is received counts as much as the node's own.
    ``members`` are all that are thought alive.
    """

    def __init__(
        self, me: str, members: Iterable[str], *, send_to: frozenset[str], receive_from: frozenset[str]
    ) -> None:
        self.everyone = frozenset(members).union(send_to, receive_from, (me,))
        self.members = tuple(sorted(self.everyone))
        self.roster: list[Scalar] = list(self.members)
        self._me = me
        share = 1.0 / (1 + len(receive_from))
        self._own = Neighbourhood(
            tuple(sorted(send_to)), dict.fromkeys(sorted(receive_from), share), self_weight=share
        )

    def neighbourhood(self, round: int, of: str) -> Neighbourhood:  # noqa: ARG002
        """This node's own in every round; of anybody else nothing is known."""
        return self._own if of == self._me else _NOBODY


# Roster (member id -> the name it gave itself) to wiring.  One factory may serve many nodes and cache.
WiringFactory: TypeAlias = Callable[[Mapping[str, str]], GraphWiring]
