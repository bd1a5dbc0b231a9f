"""What the network does to messages in a simulation: latency, jitter, loss, duplicates, bandwidth.

The fate of a message is a function of (seed, sender, receiver, number of the message on that link) and of
nothing else, so that neither scheduling nor what happens on other links changes it.  Links keep the order
of messages, as TCP does, unless ``keeps_order`` is false.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from p2pfl.errors import ConfigError, unknown_name
from simulations.quantities import PROBABILITY, SECONDS, Amount, Limits, Quantity

LINK_PURPOSE = 0x4C494E4B  # addresses the draws of a link
QUALITY_PURPOSE = 0x5155414C  # ... and those of what the link is like
BLOCK_MESSAGES = 16  # messages whose draws are made together: a generator costs 20 µs, a draw 0.1
BREAK_S = 45.0  # as p2pfl.transports.tcp_socket asks the system for: 15 s of silence, then three probes

JITTER_SHAPES = ("exponential", "lognormal", "uniform")
BANDWIDTH = Limits(0.0, inf, "more than 0", excludes_ends=True)
PER_LINK: Mapping[str, Limits] = {  # in the order in which a link's own values are drawn
    "latency_s": SECONDS,
    "jitter_s": SECONDS,
    "loss": PROBABILITY,
    "duplicate": PROBABILITY,
    "reorder": PROBABILITY,
    "bandwidth_bps": BANDWIDTH,
}


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """What one directed link is like."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    bandwidth_bps: float = inf

    @property
    def is_certain(self) -> bool:
        """Whether every message arrives once, in its turn, after ``latency_s``."""
        return self.jitter_s == self.loss == self.duplicate == self.reorder == 0

    @property
    def has_bandwidth_limit(self) -> bool:
        """Whether messages of the link wait for each other."""
        return isfinite(self.bandwidth_bps)


@dataclass(frozen=True, slots=True)
class Network:
    """How links behave; the default is perfect.

    A copy of a message arrives ``latency_s`` plus a draw after it was sent: uniform from [0, ``jitter_s``),
    or exponential with that mean, or lognormal with that median and sigma 1 (``jitter_shape``).  ``loss`` is
    the probability that it never arrives, ``duplicate`` that a second copy does, ``reorder`` that it comes
    up to ``reorder_delay_s`` later and out of its turn.  ``bandwidth_bps`` (bits per second and direction)
    makes messages of one link wait for each other.  These six may differ from link to link
    (``simulations.quantities``).  A link that carries nothing for ``break_s`` breaks.
    """

    latency_s: Amount = 0.0
    jitter_s: Amount = 0.0
    loss: Amount = 0.0
    duplicate: Amount = 0.0
    bandwidth_bps: Amount = inf
    keeps_order: bool = True
    reorder: Amount = 0.0
    reorder_delay_s: float = 1.0
    jitter_shape: str = "uniform"
    break_s: float = BREAK_S
    _per_link: Mapping[str, Quantity] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        quantities = {
            key: Quantity(getattr(self, key), where=f"network.{key}", limits=limits)
            for key, limits in PER_LINK.items()
        }
        object.__setattr__(self, "_per_link", quantities)
        for key in ("reorder_delay_s", "break_s"):
            SECONDS.demand(getattr(self, key), f"network.{key}")
        if not isinstance(self.keeps_order, bool):
            raise ConfigError(
                f"keeps_order = {self.keeps_order!r} is not possible; allowed: true or false",
                where="network.keeps_order",
            )
        if self.jitter_shape not in JITTER_SHAPES:
            raise unknown_name(
                "jitter_shape", str(self.jitter_shape), JITTER_SHAPES, where="network.jitter_shape"
            )

    def quality(self, seed: int, *, sender: int, receiver: int) -> LinkQuality:
        """What the link from one node to another is like; the same at every asking."""
        is_random = any(quantity.is_random for quantity in self._per_link.values())
        random = np.random.default_rng([seed, sender, receiver, QUALITY_PURPOSE]) if is_random else None
        return LinkQuality(**{key: each.of(sender, receiver, random) for key, each in self._per_link.items()})


def network_from(options: Mapping[str, object]) -> Network:
    """A network from options of a config; raises ConfigError naming the key that is wrong."""
    known = [field.name for field in fields(Network) if field.init]
    for key in options:
        if key not in known:
            raise unknown_name("option of the network:", key, known, where=f"network.{key}")
    return Network(**options)  # type: ignore[arg-type]  # __post_init__ checks what each value is


class LinkFates:
    """What happens to message 0, 1, 2, ... of one directed link: the delays of the copies that arrive."""

    __slots__ = ("_address", "_draws", "_first", "_network", "_strays", "quality")

    def __init__(self, network: Network, seed: int, *, sender: int, receiver: int) -> None:
        self.quality = network.quality(seed, sender=sender, receiver=receiver)
        self._network = network
        self._address = (seed, sender, receiver)
        self._first = -1  # number of the message whose draws come first in the block held
        self._draws: list[list[float]] = []  # per message: loss, duplicate, delay, delay of a second copy
        self._strays: list[list[float]] = []  # per message: reorder, further delay

    def delays_s(self, number: int) -> tuple[float, ...]:
        """Seconds after which each copy of the link's message ``number`` arrives; empty when it is lost."""
        quality = self.quality
        if quality.is_certain:
            return (quality.latency_s,)
        first = number - number % BLOCK_MESSAGES
        if first != self._first:
            self._draw(first)
        loss, duplicate, delay_s, second_delay_s = self._draws[number - first]
        if loss < quality.loss:
            return ()
        if self.is_stray(number):
            delay_s += self._strays[number - first][1]
        if duplicate < quality.duplicate:
            return delay_s, second_delay_s
        return (delay_s,)

    def is_stray(self, number: int) -> bool:
        """Does the message, asked for last by ``delays_s``, come out of its turn?"""
        return self.quality.reorder > 0 and self._strays[number - self._first][0] < self.quality.reorder

    def _draw(self, first: int) -> None:
        random = np.random.default_rng([*self._address, first // BLOCK_MESSAGES, LINK_PURPOSE])
        draws = random.random((BLOCK_MESSAGES, 4))
        draws[:, 2:] = self.quality.latency_s + self._jitter(draws[:, 2:])
        self._draws = draws.tolist()
        if self.quality.reorder:
            strays = random.random((BLOCK_MESSAGES, 2))
            strays[:, 1] *= self._network.reorder_delay_s
            self._strays = strays.tolist()
        self._first = first

    def _jitter(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        match self._network.jitter_shape:
            case "exponential":
                return np.asarray(-np.log1p(-uniform) * self.quality.jitter_s)
            case "lognormal":
                return np.asarray(np.exp(ndtri(np.maximum(uniform, 2.0**-53))) * self.quality.jitter_s)
            case _:
                return uniform * self.quality.jitter_s
