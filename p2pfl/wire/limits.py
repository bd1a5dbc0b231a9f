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
    greeting_links: int = 10  # accepted links that have not greeted; the oldest gives way to a newcomer
    address_greeting_links: int = 4  # the same, from one address
    address_links_per_s: float = 5.0  # new connections from one address; more are closed at once
    address_links_burst: int = 20  # of them at once
    loopback_times: int = 16  # rates and links from this machine itself may be so many times as many
    failed_handshakes: int = 5  # then the address is refused
    lockout_s: float = 60.0  # at first; doubles with every further time
    lockout_max_s: float = 3600.0  # at last; a host that is quiet for as long is forgotten
    known_addresses: int = 1024  # whose connections are counted; the one not seen for longest is forgotten

    control_frame_bytes: int = 64 * 1024  # of one frame of a greeted peer, bodies aside
    control_frames_per_s: float = 50.0  # of one peer, without models; a flood ends the link
    control_frames_burst: int = 1000  # what gathers in the socket while this node sleeps
    offers_per_s: float = 10.0  # of one peer; further ones are answered later
    offers_burst: int = 20  # of them at once
    guest_links: int = 16  # links that exist only because anybody may have our model
    guest_idle_s: float = 60.0  # without a request such a link is closed
    model_mb: float = 512.0  # of one model, MiB; the body of a message has exactly the local model's size

    inbound_models: int = 4  # bodies in transit from all peers; a further one waits in its sender
    held_models: int = 8  # bodies of one peer in transit or in use here; a further one waits in its sender
    offer_wait_s: float = 5.0  # for memory, before a peer is told to offer again
    offer_again_s: float = 0.5  # at most, and a tenth at least, until a peer is offered a model again
    unanswered_models: int = 8  # sent to one peer and without a receipt; a further one waits
    spare_models: int = 4  # empty buffers kept for the next bodies

    transfer_window_s: float = 10.0  # a body that moves less than ``transfer_window_bytes`` in it is given up
    transfer_window_bytes: int = 160 * 1024  # the least that a body must move in its window
    transfer_least_s: float = 30.0  # for a whole body, however small; a large one has the time of the window

    link_ping_s: float = 15.0  # a linked peer from which nothing came for so long is asked for a sign of life
    link_dead_s: float = 45.0  # and after so long its link is closed

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
