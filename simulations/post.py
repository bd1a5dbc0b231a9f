"""Takes what hosts send to each other over the links: at once, in turn on slow lines, after a partition."""

from collections.abc import Callable, Mapping
from functools import partial

from p2pfl.events import Received
from p2pfl.membership import Input
from simulations.agenda import Agenda
from simulations.hosts import Host, Record
from simulations.invariants import Invariants
from simulations.links import Parcel, SimulatedLink


class Post:
    """Launches parcels and has them arrive; messages through ``arrive``, heartbeats through ``deliver``.

    ``is_blocked`` tells whether a partition stands between a sender and a receiver.
    """

    __slots__ = ("_agenda", "_arrive", "_deliver", "_hosts", "_invariants", "_is_blocked", "_record")

    def __init__(
        self,
        agenda: Agenda,
        hosts: Mapping[str, Host],
        record: Record,
        *,
        invariants: Invariants,
        is_blocked: Callable[[str, str], bool],
        arrive: Callable[[Host, SimulatedLink, Received], None],
        deliver: Callable[[Host, Input], None],
    ) -> None:
        self._agenda = agenda
        self._hosts = hosts
        self._record = record
        self._invariants = invariants
        self._is_blocked = is_blocked
        self._arrive = arrive
        self._deliver = deliver

    def dispatch(self, host: Host, link: SimulatedLink, parcel: Parcel) -> None:
        """Launch a parcel, or let it wait for the line or for the end of a partition."""
        if self._is_blocked(host.member, link.to):
            link.wait(parcel)
        elif not link.has_bandwidth_limit:
            self._launch(host, link, parcel)
        else:
            link.wait(parcel)
            if not link.is_busy:
                self._use_line(host, link)

    def resume(self, host: Host, link: SimulatedLink) -> None:
        """Nothing stands in the way any more: send what has waited."""
        if not link.has_bandwidth_limit:
            while link.outbox:
                self._launch(host, link, link.outbox.popleft())
        elif not link.is_busy:
            self._use_line(host, link)

    def _use_line(self, host: Host, link: SimulatedLink) -> None:
        link.is_busy = bool(link.outbox) and not self._is_blocked(host.member, link.to)
        if link.is_busy:
            parcel = link.outbox.popleft()
            leave = partial(self._leave_line, host, link, parcel)
            self._agenda.at(self._agenda.now_s + link.seconds_on_line(parcel), leave)

    def _leave_line(self, host: Host, link: SimulatedLink, parcel: Parcel) -> None:
        self._launch(host, link, parcel)
        self._use_line(host, link)

    def _launch(self, host: Host, link: SimulatedLink, parcel: Parcel) -> None:
        agenda, content, receiver = self._agenda, parcel.content, self._hosts[link.to]
        arrivals_s = link.arrivals_s(agenda.now_s, parcel.size_bytes)
        self._record.bytes_sent += parcel.size_bytes
        if not isinstance(content, Received):
            link.heartbeats += 1
            for arrival_s in arrivals_s:
                agenda.idly_at(arrival_s, partial(self._deliver, receiver, content))
            return
        link.launched += len(arrivals_s)
        self._invariants.on_the_way(host.member, link, agenda.now_s)
        arrive = partial(self._arrive, receiver, link, content)
        for arrival_s in arrivals_s:
            agenda.at(arrival_s, arrive)
        if self._record.trace is not None:
            message = content.message
            self._record.trace.sent(
                agenda.now_s, host.member, link.to, message=message, arrivals_s=arrivals_s
            )
