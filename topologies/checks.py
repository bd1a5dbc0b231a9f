"""What a number has to be before a graph is made of it."""

import numpy as np

from p2pfl.errors import ConfigError

LARGEST_GRAPH = 1_000_000  # nodes; beyond it a slip of the keyboard would fill the memory


class SizeError(ConfigError):
    """The options are sound, but there is no such graph with this number of nodes.

    ``stand_in_degree`` is the degree of the rings that stand in for it among daemons whose number changed.
    """

    def __init__(self, what: str, *, fix: str = "", stand_in_degree: int = 2) -> None:
        super().__init__(what, fix=fix)
        self.stand_in_degree = stand_in_degree


def whole(name: str, value: object, *, at_least: int = 0, at_most: int | None = None) -> int:
    """``value`` as an int, or a ConfigError that says what ``name`` may be."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if at_least <= number and (at_most is None or number <= at_most):
            return number
    allowed = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
    raise ConfigError(f"{name} must be a whole number {allowed}, found {value!r}")


def node_count(value: object) -> int:
    """``value`` as a number of nodes: at least one."""
    return whole("the number of nodes", value, at_least=1, at_most=LARGEST_GRAPH)


def probability(name: str, value: object) -> float:
    """``value`` as a float from 0 to 1, or a ConfigError."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool) and 0 <= float(value) <= 1:
        return float(value)
    raise ConfigError(f"{name} must be a number from 0 to 1, found {value!r}")
