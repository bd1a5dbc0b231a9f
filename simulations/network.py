"""What the network does to messages in a simulation: latency, jitter, loss, duplicates, bandwidth.

The fate of a message is a function of (seed, sender, receiver, number of the message on that link) and of
nothing else, so that neither scheduling nor what happens on other links changes it.  Links keep the order
of messages, as TCP does, unless ``keeps_order`` is false.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf, isfinite

import numpy as np

from p2pfl.errors import ConfigError, unknown_name

LINK_PURPOSE = 0x4C494E4B  # addresses the draws of a link
BLOCK_MESSAGES = 16  # messages whose draws are made together: a generator costs 20 µs, a draw 0.1


@dataclass(frozen=True, slots=True)
class Network:
    """How links behave; the default is perfect.

    A copy of a message arrives ``latency_s`` plus a uniform draw from [0, ``jitter_s``) after it was sent.
    ``loss`` is the probability that it never arrives, ``duplicate`` that a second copy does.
    ``bandwidth_bps`` (bits per second and direction) makes messages of one link wait for each other.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    bandwidth_bps: float = inf
    keeps_order: bool = True

    def __post_init__(self) -> None:
        for key in ("latency_s", "jitter_s"):
            value = getattr(self, key)
            _demand(
                key, value, is_allowed=_is_number(value) and 0 <= value < inf, allowed="0 or more seconds"
            )
        for key in ("loss", "duplicate"):
            value = getattr(self, key)
            _demand(key, value, is_allowed=_is_number(value) and 0 <= value <= 1, allowed="0 to 1")
        speed = self.bandwidth_bps
        _demand("bandwidth_bps", speed, is_allowed=_is_number(speed) and speed > 0, allowed="more than 0")
        order = self.keeps_order
        _demand("keeps_order", order, is_allowed=isinstance(order, bool), allowed="true or false")

    @property
    def is_certain(self) -> bool:
        """Whether every message arrives once, after ``latency_s``."""
        return self.jitter_s == 0 and self.loss == 0 and self.duplicate == 0

    @property
    def has_bandwidth_limit(self) -> bool:
        """Whether messages of one link wait for each other."""
        return isfinite(self.bandwidth_bps)


def network_from(options: Mapping[str, object]) -> Network:
    """A network from options of a config; raises ConfigError naming the key that is wrong."""
    known = [field.name for field in fields(Network)]
    for key in options:
        if key not in known:
            raise unknown_name("option of the network:", key, known, where=f"network.{key}")
    return Network(**options)  # type: ignore[arg-type]  # __post_init__ checks what each value is


class LinkFates:
    """What happens to message 0, 1, 2, ... of one directed link: the delays of the copies that arrive."""

    __slots__ = ("_address", "_draws", "_first", "_network")

    def __init__(self, network: Network, seed: int, *, sender: int, receiver: int) -> None:
        self._network = network
        self._address = (seed, sender, receiver)
        self._first = -1  # number of the message whose draws come first in the block held
        self._draws: list[list[float]] = []

    def delays_s(self, number: int) -> tuple[float, ...]:
        """Seconds after which each copy of the link's message ``number`` arrives; empty when it is lost."""
        network = self._network
        if network.is_certain:
            return (network.latency_s,)
        first = number - number % BLOCK_MESSAGES
        if first != self._first:
            self._draw(first)
        loss, duplicate, jitter, second_jitter = self._draws[number - first]
        if loss < network.loss:
            return ()
        delay_s = network.latency_s + jitter * network.jitter_s
        if duplicate < network.duplicate:
            return delay_s, network.latency_s + second_jitter * network.jitter_s
        return (delay_s,)

    def _draw(self, first: int) -> None:
        random = np.random.default_rng([*self._address, first // BLOCK_MESSAGES, LINK_PURPOSE])
        self._draws = random.random((BLOCK_MESSAGES, 4)).tolist()
        self._first = first


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _demand(key: str, found: object, *, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ConfigError(f"{key} = {found!r} is not possible; allowed: {allowed}", where=f"network.{key}")
