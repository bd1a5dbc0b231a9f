"""What tasks share: the purposes of their random draws, the schedule of the step size, checks of options."""

import math

from p2pfl.errors import ConfigError

# Purposes of a learner's addressed draws (ALGORITHMS.md, D5), the same for every kind of learner.
INITIAL_PURPOSE = 0x494E4954
BATCHES_PURPOSE = 0x42415443
LAYERS_PURPOSE = 0x4C415952


def linear_decay(age: int, rounds: int) -> float:
    """Factor of the step size: from 1 at age 0 to 0 when the budget is used up; without a budget always 1."""
    return max(0.0, 1.0 - age / rounds) if rounds > 0 else 1.0


def require_whole(option: str, found: object, *, least: int) -> None:
    """Refuse what is not a whole number from ``least`` on."""
    if isinstance(found, bool) or not isinstance(found, int) or found < least:
        raise ConfigError(
            f"{option} must be a whole number from {least}, not {found!r}", where=f"task.{option}"
        )


def require_number(option: str, found: object, *, least: float = 0.0, below: float = math.inf) -> None:
    """Refuse what is not a finite number in [least, below)."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found < below:
        limit = "" if math.isinf(below) else f" and below {below:g}"
        raise ConfigError(
            f"{option} must be a number from {least:g}{limit}, not {found!r}", where=f"task.{option}"
        )
