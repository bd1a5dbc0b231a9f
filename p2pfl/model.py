"""The model as everything but ``learning`` sees it: one flat vector with an age and a weight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# float32 parameters, float64 running totals, uint8 bytes of a codec: one flat array each.
Array: TypeAlias = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.uint8] | NDArray[np.int64]
Scalar: TypeAlias = int | float | str | bytes


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Parameters [P] with the number of ``Train`` calls behind them and a push-sum or sample weight.

    ``params`` is never changed in place once the model exists.  A merge keeps the largest age.
    """

    params: NDArray[np.float32]
    age: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a protocol or a node must find again after a crash: plain values and flat arrays by name.

    Holds no clock reading and no timer.
    """

    values: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What survives a crash, as one unit: model, optimiser state, the node's snapshot, finished rounds."""

    model: Model
    state: Mapping[str, Array]
    snapshot: Snapshot
    round: int
