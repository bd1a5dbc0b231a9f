"""Runs many nodes in virtual time: one thread, one heap of events, no sockets, no sleeping.

Every member is a ``p2pfl.node.Node``, the same object that a daemon runs.  Events of one instant happen in
the order in which they were caused, so that a run is a function of its arguments: same seed, same bytes.

A crash loses what the member had not stored.  What it had sent arrives, what was on the way to it does not.
A restart makes a fresh node, restores the last stored snapshot, and brings the links up again; a join makes
a fresh node without a history; who leaves says good-bye.  ``simulations.connections`` says what becomes of
links, ``simulations.training`` how long one takes.  ``simulations.invariants`` are checked all the while.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from math import inf
from typing import assert_never

from p2pfl.errors import ConfigError, unknown_name
from p2pfl.events import (
    Adopt,
    Finish,
    Received,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
)
from p2pfl.membership import Heard, Input, LinkDown, LinkUp, Tell
from p2pfl.model import Model
from p2pfl.node import Node, NodeEffect, NodeInput, Settle
from p2pfl.peer.status import body_bytes
from p2pfl.trust import Trust, TrustChanged
from simulations.agenda import Agenda, rare_garbage_collection
from simulations.compute import Compute, compute_from
from simulations.connections import Connections
from simulations.hosts import Host, Record, Watcher
from simulations.invariants import Invariants
from simulations.links import LinkTable, Parcel, SimulatedLink
from simulations.network import Network
from simulations.post import Post
from simulations.swarm import Swarm
from simulations.traces import Trace
from simulations.training import Trainer, Trainings

QUIET_S = 3600.0  # heartbeats and churn never end: a run in which nobody adopts a model for so long is over


class EventSimulator:
    """A swarm in virtual time; ``run`` it, do things to its members, look at what it leaves behind."""

    def __init__(
        self,
        swarm: Swarm,
        *,
        train: Trainer,
        network: Network | None = None,
        seed: int = 0,
        compute_s: float | Compute = 1.0,
        down: Collection[str] = (),
        trace: Trace | None = None,
        watch: Watcher | None = None,
    ) -> None:
        for member in down:
            _check_member(swarm, member)
        self._swarm = swarm
        self._trainings = Trainings(train)
        self._compute = compute_from(compute_s)
        self._seed = seed
        self._agenda = Agenda()
        self._links = LinkTable(swarm.links, network or Network(), seed)
        self._record = Record(trace, watch)
        self._invariants = Invariants(len(swarm.members), seed)
        self._hosts: dict[str, Host] = {}
        self._connections = Connections(
            self._links, self._agenda, self._hosts, swarm=swarm, seed=seed, deliver=self._deliver
        )
        self._post = Post(
            self._agenda,
            self._hosts,
            self._record,
            invariants=self._invariants,
            is_blocked=self._connections.is_blocked,
            arrive=self._arrive,
            deliver=self._deliver,
        )
        self._running = 0  # hosts that are up and have not finished
        self._starts: Counter[str] = Counter()  # restarts and joins that are still to come
        self._has_churn = False
        self._progress_s = 0.0  # when somebody adopted a model last
        up = [member for member in swarm.members if member not in down]
        self._agenda.at(0.0, partial(self._start_all, up))

    @property
    def now_s(self) -> float:
        """Virtual seconds since the start."""
        return self._agenda.now_s

    @property
    def members(self) -> tuple[str, ...]:
        """All members, those that are down included, in the order of their numbers."""
        return self._swarm.members

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
        """Messages that have left, per (sender, receiver); heartbeats do not count."""
        return {pair: link.sent - link.heartbeats for pair, link in self._links.with_messages()}

    @property
    def byte_counts(self) -> dict[tuple[str, str], int]:
        """Bytes of models and bodies that have left, per (sender, receiver)."""
        return {pair: link.bytes_sent for pair, link in self._links.with_messages()}

    @property
    def bytes_sent(self) -> int:
        """The sum of ``byte_counts``, kept while the run goes on."""
        return self._record.bytes_sent

    @property
    def lost(self) -> int:
        """Messages that the network lost, heartbeats included."""
        return sum(link.lost for _, link in self._links.used())

    @property
    def unsent(self) -> int:
        """Messages that had no link to leave by."""
        return self._record.unsent

    def is_up(self, member: str) -> bool:
        """Is the member's process running?"""
        return member in self._hosts and self._hosts[member].is_up

    def node(self, member: str) -> Node:
        """The member's node, for looking at."""
        return self._hosts[member].node

    def run(self, *, until_s: float = inf) -> None:
        """Go on until all members have finished and only timers are left, or until ``until_s``."""
        agenda = self._agenda
        with rare_garbage_collection():
            while not (agenda.is_idle and self._is_over()) and agenda.step(until_s):
                pass
        agenda.now_s = max(agenda.now_s, until_s) if until_s < inf else agenda.now_s

    # What can be done to members, now or at a given time.

    def crash(self, member: str, *, at_s: float | None = None) -> None:
        """Kill a member; one that is down stays down."""
        _check_member(self._swarm, member)
        self._at(at_s, partial(self._stop, member, left=False))

    def leave(self, member: str, *, at_s: float | None = None) -> None:
        """A member says good-bye and stops."""
        _check_member(self._swarm, member)
        self._at(at_s, partial(self._stop, member, left=True))

    def restart(self, member: str, *, at_s: float | None = None) -> None:
        """Start a member that is down, from what it stored last; one that is up is let be."""
        _check_member(self._swarm, member)
        self._at(at_s, partial(self._start, member, is_fresh=False))
        self._starts[member] += 1

    def join(self, member: str, *, at_s: float | None = None) -> None:
        """Start a member that is down, as one that has no history; one that is up is let be."""
        _check_member(self._swarm, member)
        self._at(at_s, partial(self._start, member, is_fresh=True))
        self._starts[member] += 1

    def partition(
        self, groups: Sequence[Collection[str]], *, at_s: float | None = None, heal_s: float | None = None
    ) -> None:
        """Nothing passes between the groups, until ``heal_s``; members of none are one more group."""
        for member in (member for group in groups for member in group):
            _check_member(self._swarm, member)
        self._at(at_s, partial(self._part, partial(self._connections.partition, groups), heal_s))

    def partition_oneway(
        self,
        senders: Collection[str],
        receivers: Collection[str],
        *,
        at_s: float | None = None,
        heal_s: float | None = None,
    ) -> None:
        """Nothing passes from these to those, until ``heal_s``; the other way it does."""
        for member in (*senders, *receivers):
            _check_member(self._swarm, member)
        cut = partial(self._connections.partition_oneway, frozenset(senders), frozenset(receivers))
        self._at(at_s, partial(self._part, cut, heal_s))

    def heal(self, *, at_s: float | None = None) -> None:
        """End all partitions."""
        self._at(at_s, partial(self._heal, None))

    def change_trust(self, member: str, trust: Trust, *, at_s: float | None = None) -> None:
        """Put other lists of a member into force, in its node and in what it tells the others."""
        _check_member(self._swarm, member)
        self._at(at_s, partial(self._connections.change_trust, member, trust))

    def call(self, action: Callable[[], None], *, at_s: float) -> None:
        """Do anything at ``at_s``, which may do so again, for as long as the run lasts."""
        self._has_churn = True
        self._at(at_s, action)

    def _at(self, at_s: float | None, action: Callable[[], None]) -> None:
        now_s = self._agenda.now_s
        if at_s is not None and at_s < now_s:
            raise ConfigError(f"at_s = {at_s} is past: it is {now_s} s already")
        self._agenda.idly_at(now_s if at_s is None else at_s, action)

    def _is_over(self) -> bool:
        """Nothing but timers and heartbeats is left: is it worth while to go on?"""
        finished = self._record.finished
        is_awaited = any(self._starts[member] and member not in finished for member in self._starts)
        if self._running == 0 and not is_awaited:
            return True
        is_endless = self._has_churn or (self._swarm.has_heartbeats and not is_awaited)
        return is_endless and self._agenda.next_s - self._progress_s > QUIET_S

    def _start_all(self, up: list[str]) -> None:
        present = frozenset(up)
        self._connections.begin(up)
        for member in up:
            linked = present.intersection(() if self._swarm.is_introduced else self._links.of(member))
            self._hosts[member] = Host(member, self._swarm.make_node(member, linked), linked)
        self._running = len(up)
        for member in up:
            self._begin(self._hosts[member])
        if self._swarm.is_introduced:
            self._connections.introduce()
        self._invariants.begun(self._hosts.values())

    def _begin(self, host: Host) -> None:
        self._record.note(self._agenda.now_s, host.member, "up")
        self._handle(host, Started())

    def _stop(self, member: str, *, left: bool) -> None:
        host = self._hosts.get(member)
        if host is None or not host.is_up:
            return
        host.is_up = False
        self._running -= not host.is_finished
        self._record.note(self._agenda.now_s, member, "left" if left else "down")
        self._connections.close_all(member, left=left)

    def _start(self, member: str, *, is_fresh: bool) -> None:
        self._starts[member] -= 1
        old = self._hosts.get(member)
        if old is not None and old.is_up:
            return
        node = self._swarm.make_node(member, frozenset())
        host = self._hosts[member] = Host(member, node, frozenset())
        if is_fresh:
            self._record.stored.pop(member, None)
        if member in self._record.stored:
            snapshot, host.state = self._record.stored[member]
            node.restore(snapshot)
        else:
            self._invariants.joined(member)
        self._record.finished.pop(member, None)
        self._running += 1
        self._begin(host)
        self._connections.open_all(member)

    def _part(self, cut: Callable[[], int], heal_s: float | None) -> None:
        number = cut()
        self._record.note(self._agenda.now_s, "-", "partition")
        if heal_s is not None:
            self._at(heal_s, partial(self._heal, number))

    def _heal(self, number: int | None) -> None:
        self._record.note(self._agenda.now_s, "-", "heal")
        for member, other in self._connections.heal(number):
            self._post.resume(self._hosts[member], self._links.between(member, other))

    def _arrive(self, host: Host, link: SimulatedLink, event: Received) -> None:
        link.arrived += 1
        if host.is_up:
            self._handle(host, event)

    def _deliver(self, host: Host, event: Input | TrustChanged) -> None:
        if not host.is_up:
            return
        match event:
            case LinkUp(peer):
                host.linked.add(peer)
            case LinkDown(peer):
                host.linked.discard(peer)
        self._handle(host, event)

    def _handle(self, host: Host, event: NodeInput) -> None:
        now_s = self._agenda.now_s
        self._invariants.handled(now_s, host.member, event)
        try:
            effects = host.node.handle(event, now_s)
        except AssertionError as error:
            raise self._invariants.violation(f"{host.member}: {error}", now_s) from error
        for effect in effects:
            self._carry_out(host, effect)

    def _carry_out(self, host: Host, effect: NodeEffect) -> None:
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
                self._invariants.stored(host)
            case Finish():
                self._finish(host, effect)
            case Tell():
                self._tell(host, effect)
            case Settle():
                pass  # messages have no sequence here
            case _:
                assert_never(effect)

    def _send(self, host: Host, send: Send) -> None:
        if send.to not in host.linked:
            self._record.unsent += 1
            return
        parcel = Parcel(Received(host.member, send.message), body_bytes(send.message), send.replaces)
        self._post.dispatch(host, self._links.between(host.member, send.to), parcel)

    def _tell(self, host: Host, tell: Tell) -> None:
        if tell.to in host.linked:
            parcel = Parcel(Heard(host.member, tell.heartbeat), 0, "heartbeat")
            self._post.dispatch(host, self._links.between(host.member, tell.to), parcel)

    def _set_timer(self, host: Host, timer: SetTimer) -> None:
        agenda = self._agenda
        number = host.timers[timer.name] = agenda.number + 1
        agenda.idly_at(agenda.now_s + timer.delay_s, partial(self._fire, host, timer.name, number))

    def _fire(self, host: Host, name: str, number: int) -> None:
        if host.is_up and host.timers.get(name) == number:
            del host.timers[name]
            self._handle(host, TimerFired(name))

    def _begin_training(self, host: Host, request: Train) -> None:
        agenda, member = self._agenda, host.member
        self._invariants.begins_training(host, agenda.now_s)
        host.is_training = True
        seconds = self._compute.of(self._links.numbers[member], self._record.trainings[member], self._seed)
        self._record.trainings[member] += 1
        self._trainings.begin(host, request)
        agenda.at(agenda.now_s + seconds, partial(self._end_training, host))

    def _end_training(self, host: Host) -> None:
        if not host.is_up:
            return
        host.is_training = False
        model, host.state = self._trainings.end(host)
        self._handle(host, Trained(model))

    def _adopt(self, host: Host, adopt: Adopt) -> None:
        now_s = self._progress_s = self._agenda.now_s
        self._invariants.adopted(host, adopt, now_s)
        self._invariants.weigh(self._hosts.values(), now_s)
        self._record.adopted(now_s, host.member, adopt)

    def _finish(self, host: Host, finish: Finish) -> None:
        self._record.note(self._agenda.now_s, host.member, f"finished: {finish.reason}")
        self._record.finished[host.member] = finish.reason
        self._running -= not host.is_finished
        host.is_finished = True


def _check_member(swarm: Swarm, member: str) -> None:
    if member not in swarm.links:
        raise unknown_name("member", member, swarm.members)
