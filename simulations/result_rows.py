"""The rows of a result: what was measured of a node, and of all nodes, after a round."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One node's model after one round (of a token: hop), on the whole test set."""

    node: int
    round: int
    time_s: float | None  # virtual seconds; None where time is real
    accuracy: float
    macro_f1: float
    loss: float


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """All nodes at the moment when the last of those that keep up has done an evaluated round.

    Who joins late, or starts again, and does rounds that as many others, and half of all, have left behind
    does not count.  None: was not measured.
    """

    round: int
    time_s: float | None
    consensus_distance: float
    bytes_sent: int | None  # since the start, by all nodes together
