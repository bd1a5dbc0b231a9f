"""Puts models into snapshots and reads them back, refusing what is not there."""

import numpy as np

from p2pfl.errors import StateError
from p2pfl.model import Model, Scalar, Snapshot


def model_values(model: Model, name: str = "model") -> dict[str, Scalar | list[Scalar]]:
    """The plain values of a model; its ``params`` go into the arrays under the same name."""
    return {f"{name}.age": model.age, f"{name}.weight": model.weight}


def restored_model(snapshot: Snapshot, name: str = "model") -> Model:
    """The model that was stored under a name; raises StateError when it is incomplete."""
    params = snapshot.arrays.get(name)
    if params is None or params.ndim != 1:
        raise StateError(f"the checkpoint holds no vector {name!r}")
    weight = snapshot.values.get(f"{name}.weight")
    if not isinstance(weight, int | float):
        raise StateError(f"the checkpoint holds no weight of {name!r}")
    return Model(params.astype(np.float32, copy=False), whole_number(snapshot, f"{name}.age"), float(weight))


def whole_number(snapshot: Snapshot, name: str) -> int:
    """A stored number that is not negative; raises StateError when there is none."""
    found = snapshot.values.get(name)
    if not isinstance(found, int) or found < 0:
        raise StateError(f"the checkpoint's {name!r} is {found!r}, not a whole number")
    return found


def whole_numbers(snapshot: Snapshot, name: str) -> list[int]:
    """A stored list of numbers that are not negative; raises StateError when there is none."""
    found = snapshot.values.get(name)
    if not isinstance(found, list):
        raise StateError(f"the checkpoint's {name!r} is {found!r}, not a list")
    numbers = [each for each in found if isinstance(each, int) and each >= 0]
    if len(numbers) != len(found):
        raise StateError(f"the checkpoint's {name!r} is {found!r}, not whole numbers")
    return numbers


def text(snapshot: Snapshot, name: str) -> str:
    """A stored text; raises StateError when there is none."""
    found = snapshot.values.get(name)
    if not isinstance(found, str):
        raise StateError(f"the checkpoint's {name!r} is {found!r}, not a text")
    return found
