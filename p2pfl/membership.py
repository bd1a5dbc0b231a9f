"""Who is alive: heartbeats between linked peers, rumours of joins and deaths with incarnations.

Theory of operation.  A node hears directly from the peers it has a link with, and hears of all others
through rumours that ride on heartbeats.  What is known of a member is a pair (incarnation, state); of two
claims the higher incarnation wins, and within one incarnation ``dead`` beats ``suspect`` beats ``alive``.
A peer whose link breaks, that cannot be dialled, or that stays silent for ``silence_s`` is *suspected*;
unless somebody refutes the suspicion within ``suspicion_s``, times log10 of the members above ten since news
travel further among more, it is *dead* and leaves the roster everywhere.
Only the member itself raises its incarnation: when it hears that it is suspected or dead, and at each start.

How news travel.  A rumour is repeated ``RETRANSMIT_MULTIPLIER * ceil(log10(n + 1))`` times on each link; a
new link is told the whole table.  Repeats may all be lost.  So whoever hears an outdated claim answers with
what it knows: a member that is believed dead, and speaks, learns of it and refutes it.  And heartbeats carry
a hash of the roster: linked peers whose rosters differ for three heartbeats tell each other their tables,
again after twice the time as long as that changes nothing.  Lost, repeated and reordered heartbeats are
harmless, since merging claims is commutative and idempotent.  A good-bye is a claim of death by the member
itself, at its own incarnation.

The dead are remembered for ``tombstone_s`` and then forgotten; who stood still for half of that forgets
everybody to whom it has no link, since it may have missed a death that the others no longer remember.

Own slowness counts: when the heartbeat's timer fires late, silence and suspicion are moved by as much, and
stretched up to eight times for some heartbeats.  A peer whom the others hear, and this node does not, is
suspected ever more seldom; one that speaks is not declared dead by those who hear it.

Rumours change who is thought alive, never who is trusted.
References: Das, Gupta, Motivala, "SWIM", DSN 2002; Dadgar, Phillips, Currey, "Lifeguard", DSN-W 2018.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from p2pfl.detection.contacts import Contact, Contacts
from p2pfl.detection.living import Living
from p2pfl.detection.news import News
from p2pfl.detection.patience import LAG_S, Slowness, retransmits, suspicion_stretch
from p2pfl.detection.tombstones import Tombstones
from p2pfl.detection.vocabulary import (
    TOMBSTONE_S,
    Active,
    Heard,
    Heartbeat,
    Input,
    LinkDown,
    LinkUp,
    Rumour,
    State,
    Tell,
    Timing,
    Unreachable,
    roster_hash,
)
from p2pfl.events import SetTimer, TimerFired

__all__ = [
    "HEARTBEAT_TIMER",
    "MAX_MEMBERS",
    "MAX_RUMOURS",
    "TOMBSTONE_S",
    "Active",
    "FixedMembership",
    "Heard",
    "Heartbeat",
    "Input",
    "LinkDown",
    "LinkUp",
    "Membership",
    "Output",
    "Rumour",
    "State",
    "Tell",
    "Timing",
    "Unreachable",
    "roster_hash",
]

MAX_MEMBERS = 4096  # entries of the table; further strangers are not admitted
MAX_RUMOURS = 64  # in one heartbeat
MAX_LEAP = 2**20  # by which a rumour may raise an incarnation: a forged one uses up no member's numbers
RETRANSMIT_MULTIPLIER = 4  # memberlist's value for a LAN
HURRY_S = 0.05  # a heartbeat with news waits no longer than this, so that news travel in batches
TICK_S = 1e-6  # what is due within it is due now
HEARTBEAT_TIMER = "membership.heartbeat"

Output: TypeAlias = Tell | SetTimer


class Membership:
    """The table of one node: what it believes of every member, and what it still has to pass on."""

    def __init__(self, me: Rumour, timing: Timing | None = None) -> None:
        self._me = me.member
        self._timing = timing or Timing()
        self._table: dict[str, Rumour] = {me.member: me}
        self._news = News()
        self._news.spread(me.member, 1)
        self._deadline_s: dict[str, float] = {}  # of suspects
        self._contacts = Contacts()
        self._tombstones = Tombstones(self._timing.tombstone_s)
        self._slowness = Slowness()
        self._due_s = 0.0  # when the timer should fire
        self._all_due_s = 0.0  # when everybody should be sent a heartbeat
        self._living = Living()
        self._living.renew(self._table)

    @property
    def roster(self) -> Mapping[str, str]:
        """Live members, this node included: id -> name, sorted; a new object whenever the ids change."""
        return self._living.members

    @property
    def linked(self) -> frozenset[str]:
        """Members with a link up to this node."""
        return self._contacts.linked

    @property
    def me(self) -> str:
        """This node's id."""
        return self._me

    @property
    def incarnation(self) -> int:
        """This node's own incarnation; rises when it has to refute a rumour about itself."""
        return self._table[self._me].incarnation

    @property
    def table(self) -> Mapping[str, Rumour]:
        """What is believed of every member heard of, those who died lately included."""
        return self._table

    def sizes(self) -> dict[str, int]:
        """How much is kept, by kind, for whoever watches that nothing grows."""
        spread, for_one = self._news.sizes()
        return {
            "table": len(self._table),
            "suspects": len(self._deadline_s),
            "tombstones": len(self._tombstones),
            "contacts": len(self._contacts.linked),
            "news": spread,
            "news for one": for_one,
        }

    def start(self, now_s: float) -> list[Output]:
        """Begin to send heartbeats."""
        return [self._beat_after(self._timing.heartbeat_s, now_s)]

    def handle(self, event: Input | TimerFired, now_s: float) -> list[Output]:
        """React to a link, a heartbeat, or the heartbeat timer."""
        match event:
            case Heard(peer, heartbeat):
                return self._listen(peer, heartbeat, now_s)
            case TimerFired():
                return self._beat(now_s)
            case LinkUp():
                return self._welcome(event, now_s)
            case LinkDown():
                return self._lose(event, now_s)
            case Active(peer):
                self.touch(peer, now_s)
                return []
            case Unreachable(peer):
                return self._suspect(peer, now_s)

    def touch(self, peer: str, now_s: float) -> None:
        """Anything that arrives from a linked peer shows that it is alive."""
        contact = self._contacts.get(peer)
        if contact is not None:
            contact.hear(now_s)

    def _welcome(self, link: LinkUp, now_s: float) -> list[Output]:
        if (known := self._table.get(link.peer)) and known.incarnation - link.incarnation > MAX_LEAP:
            self._forget(link.peer)  # a forged rumour came first: the peer's own word counts
        if link.peer not in self._table and not self._make_room():
            return []
        self._contacts.add(link.peer, now_s)
        claim = Rumour(link.peer, link.incarnation, State.ALIVE, link.name, link.address)
        outputs = self._learn([claim], now_s)
        self._tell_all_to(link.peer)
        return [*outputs, self._tell(link.peer, []), *self._hurry(now_s)]

    def _tell_all_to(self, peer: str) -> None:
        """Queue the table for a peer: what it says of the peer itself first, so that it can object."""
        told = (m for m in self._table if m != peer and not self._tombstones.is_hearsay(m))
        self._news.tell(peer, [peer, *told])

    def _lose(self, link: LinkDown, now_s: float) -> list[Output]:
        self._contacts.remove(link.peer)
        self._news.drop_peer(link.peer)
        known = self._table.get(link.peer)
        if known is None or known.state is State.DEAD or link.is_unneeded:
            return []
        state = State.DEAD if link.left else State.SUSPECT
        return self._learn([replace(known, state=state)], now_s)

    def _listen(self, peer: str, heartbeat: Heartbeat, now_s: float) -> list[Output]:
        contact = self._contacts.get(peer)
        claims = [claim for claim in heartbeat.rumours if not self._is_wild(claim)]
        if contact is None:
            return self._learn(claims, now_s)
        contact.hear(now_s)
        self._compare(peer, contact, heartbeat.roster, now_s=now_s)
        own = self._table[peer]  # whoever is linked stands in the table
        if own.incarnation != heartbeat.incarnation or own.state is not State.ALIVE:
            claims.append(replace(own, incarnation=heartbeat.incarnation, state=State.ALIVE))
        if not claims:
            return self._hurry(now_s)
        self._correct(peer, claims)
        return self._learn(claims, now_s) or self._hurry(now_s)

    def _is_wild(self, rumour: Rumour) -> bool:
        known = self._table.get(rumour.member)
        return known is not None and rumour.incarnation - known.incarnation > MAX_LEAP

    def _compare(self, peer: str, contact: Contact, roster: bytes, *, now_s: float) -> None:
        """Whoever believes in other members, and does not hear better by rumours, is told the whole table."""
        if roster == self._living.hash:
            contact.agree()
        elif contact.needs_exchange(roster, now_s, heartbeat_s=self._timing.heartbeat_s):
            self._tell_all_to(peer)

    def _correct(self, peer: str, claims: Iterable[Rumour]) -> None:
        """Whoever says what is outdated is told what is known.

        A member that is believed dead or suspect, and speaks, learns so of it and refutes it.
        """
        outdated = [
            c.member for c in claims if c.member in self._table and c.rank < self._table[c.member].rank
        ]
        if outdated:
            self._news.tell(peer, outdated)

    def _suspect(self, peer: str, now_s: float) -> list[Output]:
        # The others are asked through a rumour, which the suspect can refute.
        known = self._table.get(peer)
        if known is None or known.state is not State.ALIVE or peer == self._me:
            return []
        return self._learn([replace(known, state=State.SUSPECT)], now_s)

    def _beat_after(self, delay_s: float, now_s: float) -> SetTimer:
        self._due_s = now_s + delay_s
        return SetTimer(HEARTBEAT_TIMER, delay_s)

    def _hurry(self, now_s: float) -> list[Output]:
        """With something to tell, the next heartbeat comes soon; what is under way already stays."""
        if self._due_s <= now_s + HURRY_S or not self._news.is_waiting:
            return []
        return [self._beat_after(HURRY_S, now_s)]

    def _beat(self, now_s: float) -> list[Output]:
        self._look_at_the_clock(now_s)
        silence_s = self._timing.silence_s * self._slowness.stretch
        for peer, contact in list(self._contacts.silent(now_s, silence_s)):
            if self._table[peer].state is State.ALIVE:
                contact.doubt(now_s)
                self._suspect(peer, now_s)
        self._bury_suspects(now_s)
        for member in self._tombstones.expired(now_s):
            self._forget(member)
        outputs = self._tell_all(now_s)
        delay_s = min(HURRY_S, self._all_due_s - now_s) if self._news.is_waiting else self._all_due_s - now_s
        return [*outputs, self._beat_after(delay_s, now_s)]

    def _look_at_the_clock(self, now_s: float) -> None:
        """While this node was busy it heard nobody: that time does not count against the others."""
        lag_s = now_s - self._due_s
        self._slowness.note(lag_s, now_s, heartbeat_s=self._timing.heartbeat_s)
        if lag_s <= LAG_S:
            return
        self._contacts.forgive(lag_s)
        self._deadline_s = {peer: deadline_s + lag_s for peer, deadline_s in self._deadline_s.items()}
        if lag_s > self._timing.tombstone_s / 2:
            # The others may have buried and forgotten somebody: what is believed here counts no more.
            for member in self._table.keys() - self._contacts.linked - {self._me}:
                self._forget(member)
            self._living.renew(self._table)

    def _bury_suspects(self, now_s: float) -> None:
        claims = []
        for member in [m for m, deadline_s in self._deadline_s.items() if deadline_s <= now_s]:
            contact = self._contacts.get(member)
            if contact is not None and not contact.doubts and not contact.is_silent(now_s, self._patience_s):
                # It speaks, and has not heard yet of what is said of it.
                self._deadline_s[member] = now_s + self._patience_s
                self._news.tell(member, [member])
            else:
                claims.append(replace(self._table[member], state=State.DEAD))
        self._learn(claims, now_s)

    @property
    def _patience_s(self) -> float:
        stretch = suspicion_stretch(len(self._living.members)) * self._slowness.stretch
        return self._timing.suspicion_s * stretch

    def _learn(self, claims: list[Rumour], now_s: float) -> list[Output]:
        """Believe what overrides the table, pass it on; [] when nothing did."""
        news = [claim.member for claim in claims if self._believe(claim, now_s)]
        if not news:
            return []
        self._living.renew(self._table)
        repeats = retransmits(len(self._living.members), RETRANSMIT_MULTIPLIER)
        for member in news:
            self._news.spread(member, repeats)
        return self._hurry(now_s)

    def _believe(self, claim: Rumour, now_s: float) -> bool:
        """Is the claim news, to be passed on?"""
        if claim.member == self._me:
            return self._refute(claim)
        known = self._table.get(claim.member)
        if known is None:
            if not self._make_room():
                return False
        elif claim.rank <= known.rank:
            return False
        else:
            # A claim about a member may know less of it than we do.
            claim = replace(claim, name=claim.name or known.name, address=claim.address or known.address)
        self._table[claim.member] = claim
        if claim.state is State.SUSPECT:
            self._deadline_s[claim.member] = now_s + self._patience_s
        else:
            self._deadline_s.pop(claim.member, None)
        if claim.state is not State.DEAD:
            self._tombstones.remove(claim.member)
            return True
        self._tombstones.bury(claim.member, now_s, is_hearsay=known is None)
        return known is not None

    def _refute(self, claim: Rumour) -> bool:
        mine = self._table[self._me]
        if claim.rank <= mine.rank:
            return False
        self._table[self._me] = replace(mine, incarnation=claim.incarnation + 1)
        return True

    def _make_room(self) -> bool:
        """Is there a place for one more in the table?  The first of the dead gives way."""
        if len(self._table) < MAX_MEMBERS:
            return True
        oldest = self._tombstones.oldest()
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _forget(self, member: str) -> None:
        if member in self._contacts.linked:
            return
        del self._table[member]
        self._deadline_s.pop(member, None)
        self._tombstones.remove(member)
        self._news.drop_member(member)

    def _tell_all(self, now_s: float) -> list[Output]:
        """A heartbeat for each peer; in between, for those alone for whom there is something."""
        members = self._news.take(MAX_RUMOURS)
        if not members and now_s < self._all_due_s - TICK_S:
            return [self._tell(peer, []) for peer in sorted(self._contacts.linked & self._news.peers)]
        self._all_due_s = now_s + self._timing.heartbeat_s
        same = Heartbeat(self.incarnation, self._living.hash, tuple(self._table[m] for m in members))
        alone, linked = self._news.peers, sorted(self._contacts.linked)
        return [self._tell(peer, members) if peer in alone else Tell(peer, same) for peer in linked]

    def _tell(self, peer: str, members: list[str]) -> Tell:
        own = self._news.take_for(peer, MAX_RUMOURS - len(members))
        rumours = tuple(self._table[m] for m in (*members, *own))
        return Tell(peer, Heartbeat(self.incarnation, self._living.hash, rumours))


class FixedMembership:
    """A roster that never changes, one object for all nodes, for simulations: only links come and go."""

    def __init__(self, roster: Mapping[str, str], linked: frozenset[str]) -> None:
        self._roster = roster
        self._linked = linked

    @property
    def roster(self) -> Mapping[str, str]:
        """All members, this node included: id -> name."""
        return self._roster

    @property
    def linked(self) -> frozenset[str]:
        """Members with a link up to this node."""
        return self._linked

    def start(self, now_s: float) -> list[Output]:  # noqa: ARG002
        """Nothing to begin."""
        return []

    def handle(self, event: Input | TimerFired, now_s: float) -> list[Output]:  # noqa: ARG002
        """Keep the set of links; everything else is of no interest."""
        if isinstance(event, LinkUp):
            self._linked |= {event.peer}
        elif isinstance(event, LinkDown):
            self._linked -= {event.peer}
        return []

    def touch(self, peer: str, now_s: float) -> None:
        """Of no interest: links are told."""
