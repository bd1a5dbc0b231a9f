"""Directed links of the event simulator: numbers, fates, order, bandwidth, and the count of what was sent."""

from collections import deque
from collections.abc import Mapping
from math import inf

from p2pfl.events import Received
from p2pfl.membership import Input
from simulations.network import LinkFates, Network

HEADER_BYTES = 64  # what a frame has beside models and bodies, about; takes time on a slow link
MAX_OUTBOX = 64  # messages that wait for a slow link; beyond it the oldest is dropped


class Parcel:
    """What a link carries, the size of its model and bodies, and which unsent parcels it replaces."""

    __slots__ = ("content", "replaces", "size_bytes")

    def __init__(self, content: Received | Input, size_bytes: int, replaces: str) -> None:
        self.content = content
        self.size_bytes = size_bytes
        self.replaces = replaces


class SimulatedLink:
    """One direction between two members, across crashes and restarts of both."""

    __slots__ = (
        "_fates",
        "_keeps_order",
        "_last_s",
        "arrived",
        "bytes_sent",
        "has_bandwidth_limit",
        "heartbeats",
        "is_busy",
        "latency_s",
        "launched",
        "lost",
        "outbox",
        "sent",
        "to",
    )

    def __init__(self, to: str, network: Network, fates: LinkFates) -> None:
        self.to = to
        self.sent = 0  # messages, heartbeats included
        self.heartbeats = 0
        self.bytes_sent = 0
        self.lost = 0
        self.launched = 0  # copies of messages that are to arrive, and
        self.arrived = 0  # those that have
        self.is_busy = False  # with a limited bandwidth: a parcel is being put on the line
        self.outbox: deque[Parcel] = deque(maxlen=MAX_OUTBOX)
        self.latency_s = fates.quality.latency_s
        self.has_bandwidth_limit = fates.quality.has_bandwidth_limit
        self._fates = fates
        self._keeps_order = network.keeps_order
        self._last_s = -inf

    def arrivals_s(self, now_s: float, size_bytes: int) -> tuple[float, ...]:
        """Count a parcel that leaves now; when its copies arrive."""
        number = self.sent
        delays = self._fates.delays_s(number)
        self.sent = number + 1
        self.bytes_sent += size_bytes
        if not delays:
            self.lost += 1
            return ()
        if self._fates.quality.reorder and self._fates.is_stray(number):
            return tuple([now_s + delay_s for delay_s in delays])  # nothing waits for it
        if len(delays) == 1:
            return (self.in_order_s(now_s + delays[0]),)
        return tuple([self.in_order_s(now_s + delay_s) for delay_s in delays])

    def in_order_s(self, arrival_s: float) -> float:
        """The time of an arrival that does not overtake what was sent before."""
        if not self._keeps_order:
            return arrival_s
        if arrival_s > self._last_s:
            self._last_s = arrival_s
        return self._last_s

    def seconds_on_line(self, parcel: Parcel) -> float:
        """How long a parcel occupies the link."""
        return (parcel.size_bytes + HEADER_BYTES) * 8 / self._fates.quality.bandwidth_bps

    def wait(self, parcel: Parcel) -> None:
        """Put a parcel into the outbox; those that it replaces go."""
        if parcel.replaces:
            kept = [waiting for waiting in self.outbox if waiting.replaces != parcel.replaces]
            if len(kept) < len(self.outbox):
                self.outbox.clear()
                self.outbox.extend(kept)
        self.outbox.append(parcel)


class LinkTable:
    """All directed links between members, made when they are first used."""

    __slots__ = ("_links", "_neighbours", "_seed", "network", "numbers")

    def __init__(self, neighbours: Mapping[str, tuple[str, ...]], network: Network, seed: int) -> None:
        self.network = network
        self.numbers = {member: number for number, member in enumerate(neighbours)}
        self._seed = seed
        self._neighbours = neighbours
        self._links: dict[str, dict[str, SimulatedLink]] = {member: {} for member in neighbours}

    def of(self, member: str) -> tuple[str, ...]:
        """Those with whom a member has a link while both are up."""
        return self._neighbours[member]

    def between(self, sender: str, to: str) -> SimulatedLink:
        """The link from one member to another."""
        link = self._links[sender].get(to)
        if link is None:
            fates = LinkFates(
                self.network, self._seed, sender=self.numbers[sender], receiver=self.numbers[to]
            )
            link = self._links[sender][to] = SimulatedLink(to, self.network, fates)
        return link

    def used(self) -> list[tuple[str, SimulatedLink]]:
        """Every link that has carried something, with its sender, in sorted order."""
        senders = sorted(self._links.items())
        return [(sender, links[to]) for sender, links in senders for to in sorted(links) if links[to].sent]

    def with_messages(self) -> list[tuple[tuple[str, str], SimulatedLink]]:
        """Every link that has carried more than heartbeats, with its ends."""
        return [((sender, link.to), link) for sender, link in self.used() if link.sent > link.heartbeats]
