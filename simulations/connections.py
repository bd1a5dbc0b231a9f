"""Which pairs of members are linked, and when both ends hear of it: as TCP would tell them.

A crash closes the links of a member: the others are told behind the last of its messages.  A partition
tells nobody.  What is sent across it waits, as in TCP's buffers, and arrives if the partition heals before
the link breaks; the link breaks after ``break_s`` of silence, and what waited is lost.  After that both ends
try to dial each other again and again, so that some time after the heal, at most ``LAST_RETRY_S``, they
succeed.

Whom the lists of either side do not admit there is no link with.  When lists change, the links are made anew
whose ends now think otherwise of each other: a greeting tells the other side.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from p2pfl.membership import LinkDown, LinkUp
from p2pfl.peer.links import FIRST_RETRY_S, LAST_RETRY_S
from p2pfl.trust import Trust, TrustChanged
from simulations.agenda import Agenda
from simulations.hosts import Host
from simulations.links import LinkTable, SimulatedLink
from simulations.swarm import Swarm

REDIAL_PURPOSE = 0x4449414C  # addresses the draws of when a dial succeeds

Pair: TypeAlias = tuple[str, str]


class _Connection:
    """Of one pair: is there a link, and does an end still believe in one that is gone?"""

    __slots__ = ("broken_s", "cuts", "is_untold", "is_up", "number")

    def __init__(self, *, is_up: bool) -> None:
        self.is_up = is_up
        self.is_untold = False
        self.number = 0  # of the link between the two, counted from 0
        self.cuts = 0  # partitions that have come between them
        self.broken_s = 0.0


class Connections:
    """Breaks and makes the links between hosts, and tells them through ``deliver``."""

    def __init__(
        self,
        links: LinkTable,
        agenda: Agenda,
        hosts: Mapping[str, Host],
        *,
        swarm: Swarm,
        seed: int,
        deliver: Callable[[Host, LinkUp | LinkDown | TrustChanged], None],
    ) -> None:
        self._links = links
        self._agenda = agenda
        self._hosts = hosts
        self._seed = seed
        self._deliver = deliver
        self._incarnation_of = swarm.incarnation_of
        self._lists = swarm.lists
        self._first: frozenset[str] = frozenset()
        self._pairs: dict[Pair, _Connection] = {}
        self._cuts: dict[int, frozenset[Pair]] = {}  # partitions in force: number -> ways that are blocked
        self._blocked: frozenset[Pair] = frozenset()  # (sender, receiver) of all partitions together

    def is_blocked(self, sender: str, receiver: str) -> bool:
        """Does a partition stand between them?"""
        return bool(self._blocked) and (sender, receiver) in self._blocked

    def begin(self, members: Sequence[str]) -> None:
        """These are there from the beginning, and linked."""
        self._first = frozenset(members)

    def introduce(self) -> None:
        """Tell those that are there from the beginning of the links between them."""
        for member in sorted(self._first):
            for other in self._links.of(member):
                if member < other and other in self._first:
                    self._pair(member, other).is_up = self._lists.admit(member, other)
                    if self._pair(member, other).is_up:
                        self._tell_both(member, other)

    def close_all(self, member: str, *, left: bool) -> None:
        """A member is gone: its links close, and the others are told if they can be."""
        for other in self._links.of(member):
            pair = self._pair(member, other)
            self._clear(member, other)
            if not pair.is_up:
                continue
            pair.is_up = False
            pair.broken_s = self._agenda.now_s
            if (member, other) in self._blocked:
                pair.is_untold = True
                self._agenda.idly_at(
                    self._silence_over_s(), partial(self._miss, member, other, number=pair.number)
                )
            else:
                self._announce(LinkDown(member, left), self._links.between(member, other))

    def open_all(self, member: str) -> None:
        """A member is there: link it with all that can be reached."""
        for other in self._links.of(member):
            self._connect(member, other)

    def change_trust(self, member: str, trust: Trust) -> None:
        """Other lists of a member are in force: at once in its node, and in what it says to others."""
        before = self._lists.of(member)
        self._lists.trusts[member] = trust
        host = self._hosts.get(member)
        if host is None or not host.is_up:
            return
        self._deliver(host, TrustChanged(trust))
        for other in self._links.of(member):
            if _opinion(before, other) != _opinion(trust, other):
                self._cut_link(member, other)
                self._connect(member, other)

    def _cut_link(self, member: str, other: str) -> None:
        """Both ends hear of it behind what is under way; across a partition the other one misses it later."""
        pair = self._pair(member, other)
        if not pair.is_up:
            return
        pair.is_up = False
        pair.broken_s = self._agenda.now_s
        self._clear(member, other)
        if self._is_apart(member, other):
            self._deliver(self._hosts[member], LinkDown(other))
            pair.is_untold = True
            self._agenda.idly_at(
                self._silence_over_s(), partial(self._miss, member, other, number=pair.number)
            )
            return
        for here, there in ((member, other), (other, member)):
            self._announce(LinkDown(here), self._links.between(here, there))

    def partition(self, groups: Sequence[Collection[str]]) -> int:
        """Nothing passes between groups any more; members of none are one more.  Its number, for ``heal``."""
        group_of = {member: number for number, group in enumerate(groups) for member in group}
        apart = [(u, v) for u, v in self._ways() if group_of.get(u) != group_of.get(v)]
        return self._cut(frozenset(apart))

    def partition_oneway(self, senders: Collection[str], receivers: Collection[str]) -> int:
        """Nothing passes from these to those; the other way it does."""
        return self._cut(frozenset((u, v) for u, v in self._ways() if u in senders and v in receivers))

    def heal(self, number: int | None = None) -> list[Pair]:
        """End one partition, or all; the ways that are free and whose links have lasted."""
        before = self._blocked
        if number is None:
            self._cuts.clear()
        else:
            self._cuts.pop(number, None)
        self._sum_up()
        free = before - self._blocked
        for u, v in sorted({_sorted(u, v) for u, v in free}):
            if not self._pair(u, v).is_up and not self._is_apart(u, v):
                self._agenda.idly_at(self._redial_s(u, v), partial(self._connect, u, v))
        return [(u, v) for u, v in sorted(free) if self._pair(u, v).is_up]

    def _ways(self) -> Iterator[Pair]:
        return ((u, v) for u in self._links.numbers for v in self._links.of(u))

    def _cut(self, ways: frozenset[Pair]) -> int:
        number = max(self._cuts, default=-1) + 1
        fresh = sorted({_sorted(u, v) for u, v in ways if not self._is_apart(u, v)})
        self._cuts[number] = ways
        self._sum_up()
        for u, v in fresh:
            pair = self._pair(u, v)
            pair.cuts += 1
            if pair.is_up:
                self._agenda.idly_at(self._silence_over_s(), partial(self._break, u, v, cuts=pair.cuts))
        return number

    def _sum_up(self) -> None:
        self._blocked = frozenset().union(*self._cuts.values())

    def _is_apart(self, u: str, v: str) -> bool:
        return (u, v) in self._blocked or (v, u) in self._blocked

    def _break(self, u: str, v: str, *, cuts: int) -> None:
        """Both ends give up a link that has been silent since a partition began."""
        pair = self._pair(u, v)
        if not pair.is_up or pair.cuts != cuts or not self._is_apart(u, v):
            return
        pair.is_up = False
        pair.broken_s = self._agenda.now_s
        self._clear(u, v)
        self._deliver(self._hosts[u], LinkDown(v))
        self._deliver(self._hosts[v], LinkDown(u))

    def _miss(self, member: str, other: str, *, number: int) -> None:
        """The other end of a link whose one end has died behind a partition gives it up."""
        pair = self._pair(member, other)
        if pair.is_untold and pair.number == number:
            pair.is_untold = False
            self._deliver(self._hosts[other], LinkDown(member))

    def _connect(self, member: str, other: str) -> None:
        pair = self._pair(member, other)
        hosts = self._hosts.get(member), self._hosts.get(other)
        if not self._lists.admit(member, other):
            return
        if pair.is_up or self._is_apart(member, other) or any(h is None or not h.is_up for h in hosts):
            return
        if pair.is_untold:
            for here, there in ((member, other), (other, member)):
                if there in self._hosts[here].linked:
                    self._announce(LinkDown(there), self._links.between(there, here))
        pair.is_up, pair.is_untold = True, False
        pair.number += 1
        self._tell_both(member, other)

    def _tell_both(self, member: str, other: str) -> None:
        self._greet(member, other)
        self._greet(other, member)

    def _greet(self, member: str, to: str) -> None:
        greeting = self._lists.greeting(member, to, self._incarnation_of(member))
        self._announce(greeting, self._links.between(member, to))

    def _announce(self, change: LinkUp | LinkDown, link: SimulatedLink) -> None:
        arrival_s = link.in_order_s(self._agenda.now_s + link.latency_s)
        self._agenda.at(arrival_s, partial(self._deliver, self._hosts[link.to], change))

    def _clear(self, u: str, v: str) -> None:
        self._links.between(u, v).outbox.clear()
        self._links.between(v, u).outbox.clear()

    def _silence_over_s(self) -> float:
        return self._agenda.now_s + self._links.network.break_s

    def _redial_s(self, u: str, v: str) -> float:
        """When the attempts that back off while the link is broken meet the end of the partition."""
        pair, now_s = self._pair(u, v), self._agenda.now_s
        address = [self._seed, self._links.numbers[u], self._links.numbers[v], pair.number, REDIAL_PURPOSE]
        wait_s = min(max(now_s - pair.broken_s, FIRST_RETRY_S), LAST_RETRY_S)
        return now_s + wait_s * float(np.random.default_rng(address).random())

    def _pair(self, u: str, v: str) -> _Connection:
        key = _sorted(u, v)
        found = self._pairs.get(key)
        if found is None:
            is_up = u in self._first and v in self._first  # nothing has happened to this pair since
            found = self._pairs[key] = _Connection(is_up=is_up)
        return found


def _opinion(trust: Trust, other: str) -> tuple[bool, bool, bool]:
    return trust.accepts(other), trust.shares_with(other), trust.admits(other)


def _sorted(u: str, v: str) -> Pair:
    return (u, v) if u < v else (v, u)
