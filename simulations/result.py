"""What an experiment leaves behind."""

from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from simulations.metrics import consensus_distance
from simulations.result_rows import Evaluated, RoundFigures


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Figures and models of one run.

    ``accuracy`` has one row per node and evaluated round, in the order in which they happened;
    ``models`` [N, P] are the last adopted ones, ``final`` their evaluations.  ``bytes_sent`` counts models
    and bodies; real daemons count only messages with a model.
    """

    engine: str
    seed: int
    rounds: int
    accuracy: tuple[Evaluated, ...]
    final: tuple[Evaluated, ...]
    models: NDArray[np.float32]
    bytes_sent: int
    messages_sent: int
    virtual_seconds: float | None
    by_round: tuple[RoundFigures, ...] = ()

    @property
    def final_accuracy(self) -> float:
        """Mean over the nodes of the accuracy of the last model."""
        return fmean(row.accuracy for row in self.final)

    @property
    def consensus_distance(self) -> float:
        """How far the last models are from their mean."""
        return consensus_distance(self.models)

    def to_records(self) -> list[dict[str, float | int | None]]:
        """One row per node and evaluated round, as plain dicts."""
        return [asdict(row) for row in self.accuracy]
