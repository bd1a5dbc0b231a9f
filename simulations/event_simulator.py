"""Runs many nodes in virtual time: one thread, one heap of events, no sockets, no sleeping.

Every member is a ``p2pfl.node.Node``, the same object that a daemon runs.  Events of one instant happen in
the order in which they were caused, so that a run is a function of its arguments: same seed, same bytes.

A crash loses what the member had not stored.  What it had sent arrives, what was on the way to it does not;
its neighbours are told (``LinkDown``) behind the last of its messages.  A restart makes a fresh node,
restores the last stored snapshot, and brings the links up again.  A training takes ``compute_s`` of virtual
time; it is computed when that time is over, since nothing needs its result earlier.
"""

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import TypeAlias, assert_never

from p2pfl.errors import ConfigError, unknown_name
from p2pfl.events import Adopt, Finish, Received, Send, SetTimer, Started, Store, TimerFired, Train, Trained
from p2pfl.learning.learner import TrainingState
from p2pfl.membership import Heard, Input, LinkDown, LinkUp, Tell
from p2pfl.model import Model, Snapshot
from p2pfl.node import Node, NodeEffect
from p2pfl.peer.status import body_bytes
from simulations.agenda import Agenda
from simulations.links import LinkTable, Parcel, SimulatedLink
from simulations.network import Network
from simulations.swarm import Swarm
from simulations.traces import Trace
from simulations.training import Trainer

RARELY = (200_000, 20, 50)  # thresholds of the garbage collector's three generations

# What somebody who watches the run is told: (member, what it adopts, virtual time).
Watcher: TypeAlias = Callable[[str, Adopt, float], None]


class Host:
    """One process of a member, from its start to its crash."""

    __slots__ = (
        "incarnation",
        "is_finished",
        "is_training",
        "is_up",
        "linked",
        "member",
        "node",
        "state",
        "timers",
    )

    def __init__(self, member: str, node: Node, linked: frozenset[str], *, incarnation: int) -> None:
        self.member = member
        self.node = node
        self.linked = set(linked)
        self.incarnation = incarnation
        self.state: TrainingState = {}
        self.timers: dict[str, int] = {}  # name -> the number of the entry that counts
        self.is_training = False
        self.is_finished = False
        self.is_up = True


class Record:
    """What a run leaves behind; grows while it runs."""

    __slots__ = ("finished", "models", "rounds", "stored", "trace", "unsent", "watch")

    def __init__(self, trace: Trace | None, watch: Watcher | None) -> None:
        self.models: dict[str, Model] = {}
        self.rounds: dict[str, int] = {}
        self.finished: dict[str, str] = {}  # member -> reason
        self.stored: dict[str, tuple[Snapshot, TrainingState]] = {}
        self.unsent = 0  # messages to members without a link
        self.trace = trace
        self.watch = watch


class EventSimulator:
    """A swarm in virtual time; ``run`` it, crash and restart its members, look at what it leaves behind."""

    def __init__(
        self,
        swarm: Swarm,
        *,
        train: Trainer,
        network: Network | None = None,
        seed: int = 0,
        compute_s: float = 1.0,
        down: Collection[str] = (),
        trace: Trace | None = None,
        watch: Watcher | None = None,
    ) -> None:
        for member in down:
            _check_member(swarm, member)
        self._swarm = swarm
        self._train = train
        self._compute_s = compute_s
        self._agenda = Agenda()
        self._links = LinkTable(swarm.links, network or Network(), seed)
        self._record = Record(trace, watch)
        self._hosts: dict[str, Host] = {}
        self._running = 0  # hosts that are up and have not finished
        up = [member for member in swarm.members if member not in down]
        self._agenda.at(0.0, partial(self._start_all, up))

    @property
    def now_s(self) -> float:
        """Virtual seconds since the start."""
        return self._agenda.now_s

    @property
    def models(self) -> dict[str, Model]:
        """The last adopted model of each member."""
        return self._record.models

    @property
    def rounds(self) -> dict[str, int]:
        """The round of the last adopted model of each member."""
        return self._record.rounds

    @property
    def finished(self) -> dict[str, str]:
        """Members that have finished, and why."""
        return self._record.finished

    @property
    def trace(self) -> list[str]:
        """The lines of the trace, if one was asked for."""
        return [] if self._record.trace is None else self._record.trace.lines

    @property
    def message_counts(self) -> dict[tuple[str, str], int]:
        """Messages that have left, per (sender, receiver)."""
        return {(sender, link.to): link.sent for sender, link in self._links.used()}

    @property
    def byte_counts(self) -> dict[tuple[str, str], int]:
        """Bytes of models and bodies that have left, per (sender, receiver)."""
        return {(sender, link.to): link.bytes_sent for sender, link in self._links.used()}

    @property
    def lost(self) -> int:
        """Messages that the network lost."""
        return sum(link.lost for _, link in self._links.used())

    @property
    def unsent(self) -> int:
        """Messages that had no link to leave by."""
        return self._record.unsent

    def node(self, member: str) -> Node:
        """The member's node, for looking at."""
        return self._hosts[member].node

    def run(self, *, until_s: float = inf) -> None:
        """Go on until all members have finished and only timers are left, or until ``until_s``."""
        agenda = self._agenda
        with _rare_garbage_collection():
            while not (self._running == 0 and agenda.has_only_timers):
                if not agenda.step(until_s):
                    break
        if until_s < inf:
            agenda.now_s = max(agenda.now_s, until_s)

    def crash(self, member: str, *, at_s: float | None = None) -> None:
        """Kill a member, now or at ``at_s``; one that is down stays down."""
        self._schedule(self._crash, member, at_s)

    def restart(self, member: str, *, at_s: float | None = None) -> None:
        """Start a member that is down, from what it stored last; one that is up is let be."""
        self._schedule(self._restart, member, at_s)

    def _schedule(self, verb: Callable[[str], None], member: str, at_s: float | None) -> None:
        _check_member(self._swarm, member)
        now_s = self._agenda.now_s
        if at_s is not None and at_s < now_s:
            raise ConfigError(f"at_s = {at_s} is past: it is {now_s} s already")
        self._agenda.at(now_s if at_s is None else at_s, partial(verb, member))

    def _start_all(self, up: list[str]) -> None:
        present = frozenset(up)
        for member in up:
            linked = present.intersection(self._links.of(member))
            self._hosts[member] = Host(member, self._swarm.make_node(member, linked), linked, incarnation=0)
        self._running = len(up)
        for member in up:
            self._begin(self._hosts[member])

    def _begin(self, host: Host) -> None:
        self._note(host, "up")
        self._carry_out(host, host.node.handle(Started(), self._agenda.now_s))

    def _crash(self, member: str) -> None:
        host = self._hosts.get(member)
        if host is None or not host.is_up:
            return
        host.is_up = False
        self._running -= not host.is_finished
        self._note(host, "down")
        for other in self._links.of(member):
            self._links.between(member, other).outbox.clear()
            self._links.between(other, member).outbox.clear()
            if other in self._hosts:
                self._announce(LinkDown(member), self._links.between(member, other))

    def _restart(self, member: str) -> None:
        old = self._hosts.get(member)
        if old is not None and old.is_up:
            return
        node = self._swarm.make_node(member, frozenset())
        incarnation = 0 if old is None else old.incarnation + 1
        host = self._hosts[member] = Host(member, node, frozenset(), incarnation=incarnation)
        if member in self._record.stored:
            snapshot, host.state = self._record.stored[member]
            node.restore(snapshot)
        self._record.finished.pop(member, None)
        self._running += 1
        self._begin(host)
        for other in self._links.of(member):
            neighbour = self._hosts.get(other)
            if neighbour is not None and neighbour.is_up:
                self._announce(LinkUp(member, incarnation), self._links.between(member, other))
                self._announce(LinkUp(other, neighbour.incarnation), self._links.between(other, member))

    def _announce(self, change: LinkUp | LinkDown, link: SimulatedLink) -> None:
        arrival_s = link.in_order_s(self._agenda.now_s + self._links.network.latency_s)
        self._agenda.at(arrival_s, partial(self._deliver, self._hosts[link.to], change))

    def _deliver(self, host: Host, event: Received | Input) -> None:
        if not host.is_up:
            return
        match event:
            case LinkUp(peer):
                host.linked.add(peer)
            case LinkDown(peer):
                host.linked.discard(peer)
            case _:
                pass
        self._carry_out(host, host.node.handle(event, self._agenda.now_s))

    def _carry_out(self, host: Host, effects: list[NodeEffect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(host, effect)
                case SetTimer():
                    self._set_timer(host, effect)
                case Train():
                    self._begin_training(host, effect)
                case Adopt():
                    self._adopt(host, effect)
                case Store():
                    self._record.stored[host.member] = host.node.snapshot(), host.state
                case Finish():
                    self._finish(host, effect)
                case Tell():
                    parcel = Parcel(Heard(host.member, effect.heartbeat), 0, "heartbeat")
                    self._dispatch(host, effect.to, parcel)
                case _:
                    assert_never(effect)

    def _send(self, host: Host, send: Send) -> None:
        message = send.message
        parcel = Parcel(Received(host.member, message), body_bytes(message), send.replaces)
        self._dispatch(host, send.to, parcel)

    def _dispatch(self, host: Host, to: str, parcel: Parcel) -> None:
        if to not in host.linked:
            self._record.unsent += 1
            return
        link = self._links.between(host.member, to)
        if not self._links.network.has_bandwidth_limit:
            self._launch(host, link, parcel)
            return
        link.wait(parcel)
        if not link.is_busy:
            self._use_line(host, link)

    def _use_line(self, host: Host, link: SimulatedLink) -> None:
        link.is_busy = bool(link.outbox)
        if link.is_busy:
            parcel = link.outbox.popleft()
            seconds = link.seconds_on_line(parcel, self._links.network.bandwidth_bps)
            self._agenda.at(self._agenda.now_s + seconds, partial(self._leave_line, host, link, parcel))

    def _leave_line(self, host: Host, link: SimulatedLink, parcel: Parcel) -> None:
        self._launch(host, link, parcel)
        self._use_line(host, link)

    def _launch(self, host: Host, link: SimulatedLink, parcel: Parcel) -> None:
        agenda = self._agenda
        arrivals_s = link.arrivals_s(agenda.now_s, parcel.size_bytes)
        deliver = partial(self._deliver, self._hosts[link.to], parcel.content)
        for arrival_s in arrivals_s:
            agenda.at(arrival_s, deliver)
        if self._record.trace is not None and isinstance(parcel.content, Received):
            message = parcel.content.message
            self._record.trace.sent(
                agenda.now_s, host.member, link.to, message=message, arrivals_s=arrivals_s
            )

    def _set_timer(self, host: Host, timer: SetTimer) -> None:
        agenda = self._agenda
        number = host.timers[timer.name] = agenda.number + 1
        agenda.at(agenda.now_s + timer.delay_s, partial(self._fire, host, timer.name, number))
        agenda.idle += 1

    def _fire(self, host: Host, name: str, number: int) -> None:
        self._agenda.idle -= 1
        if host.is_up and host.timers.get(name) == number:
            del host.timers[name]
            self._carry_out(host, host.node.handle(TimerFired(name), self._agenda.now_s))

    def _begin_training(self, host: Host, request: Train) -> None:
        assert not host.is_training, f"{host.member} is training already"
        host.is_training = True
        self._agenda.at(self._agenda.now_s + self._compute_s, partial(self._end_training, host, request))

    def _end_training(self, host: Host, request: Train) -> None:
        if not host.is_up:
            return
        host.is_training = False
        model, host.state = self._train(host.member, request, host.state)
        self._carry_out(host, host.node.handle(Trained(model), self._agenda.now_s))

    def _adopt(self, host: Host, adopt: Adopt) -> None:
        record = self._record
        record.models[host.member] = adopt.model
        record.rounds[host.member] = adopt.round
        if record.trace is not None:
            record.trace.adopted(self._agenda.now_s, host.member, adopt)
        if record.watch is not None:
            record.watch(host.member, adopt, self._agenda.now_s)

    def _finish(self, host: Host, finish: Finish) -> None:
        self._note(host, f"finished: {finish.reason}")
        self._record.finished[host.member] = finish.reason
        self._running -= not host.is_finished
        host.is_finished = True

    def _note(self, host: Host, what: str) -> None:
        if self._record.trace is not None:
            self._record.trace.note(self._agenda.now_s, host.member, what)


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Look for cycles seldom: a run makes hardly any, and looking costs a third of its time."""
    usual = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _check_member(swarm: Swarm, member: str) -> None:
    if member not in swarm.links:
        raise unknown_name("member", member, swarm.members)
