"""Every limit of the wire and the transports, by name; the section ``[limits]`` of the config changes them.

A limit protects memory, time or attention against peers that are slow, faulty or hostile; a hit ends a
transfer or a link, never the daemon.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from p2pfl.errors import ConfigError, unknown_name

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long is accepted from one peer, and how much is kept for one."""

    connect_s: float = 5.0  # until a dialled peer answers
    handshake_s: float = 5.0  # from the connection to the greeting, on both sides
    closing_s: float = 2.0  # from a good-bye until the connection is cut, sent or not

    greeting_frame_bytes: int = 4096  # of one frame before the peer has greeted
    greeting_frames: int = 8  # before and including the greeting
    greeting_bytes: int = 16 * 1024  # in all, before and including the greeting
    greeting_links: int = 32  # accepted links that have not greeted; the oldest gives way to a newcomer

    control_frame_bytes: int = 64 * 1024  # of one frame of a greeted peer, bodies aside
    model_mb: float = 512.0  # of one model, MiB; the body of a message has exactly the local model's size

    inbound_models: int = 4  # bodies in transit from all peers; a further one waits in its sender
    held_models: int = 8  # bodies of one peer in transit or in use here; a further one waits in its sender
    offer_wait_s: float = 5.0  # for memory, before a peer is told to offer again
    offer_again_s: float = 0.5  # at most, and a tenth at least, until a peer is offered a model again
    unanswered_models: int = 8  # sent to one peer and without a receipt; a further one waits
    spare_models: int = 4  # empty buffers kept for the next bodies

    transfer_window_s: float = 10.0  # a body that moves less than ``transfer_window_bytes`` in it is given up
    transfer_window_bytes: int = 160 * 1024
    transfer_least_s: float = 30.0  # for a whole body, however small; a large one has the time of the window

    outbox_messages: int = 4  # unsent messages to one peer; the oldest is dropped
    outbox_controls: int = 8  # unsent heartbeats to one peer; the oldest is dropped
    outbox_answers: int = 64  # unsent answers to one peer; whoever does not read them loses the link
    write_high_water_bytes: int = 256 * 1024  # given to the event loop and not yet to the kernel

    def transfer_s(self, size_bytes: int) -> float:
        """How long a body may take in all."""
        return max(self.transfer_least_s, size_bytes * self.transfer_window_s / self.transfer_window_bytes)

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"limits.{limit.name} is {value}; it must be greater than 0")


def limits_from(settings: Mapping[str, object], *, where: str = "") -> Limits:
    """The limits with those of ``settings`` (the section ``[limits]``) changed.

    Raises ConfigError for an unknown name, for what is no number, and for what is not above 0.
    """
    kinds = {limit.name: limit.type for limit in fields(Limits)}
    chosen: dict[str, int | float] = {}
    for name, value in settings.items():
        if name not in kinds:
            raise unknown_name("limit", name, kinds, where=where)
        wanted = (int,) if kinds[name] is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            found = f"limits.{name} is {value!r}; it must be a number of kind {wanted[-1].__name__}"
            raise ConfigError(found, where=where)
        chosen[name] = value
    return Limits(**chosen)  # type: ignore[arg-type]  # each was checked against its field
