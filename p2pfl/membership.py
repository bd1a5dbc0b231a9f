"""Who is alive: heartbeats between linked peers, rumours of joins and deaths with incarnations.

Theory of operation.  A node hears directly from the peers it has a link with, and hears of all others
through rumours that ride on heartbeats.  What is known of a member is a pair (incarnation, state); of two
claims the higher incarnation wins, and within one incarnation ``dead`` beats ``suspect`` beats ``alive``.
A peer whose link breaks, that cannot be dialled, or that stays silent for ``silence_s`` is *suspected*;
unless somebody refutes the suspicion within ``suspicion_s``, times log10 of the members above ten since news
travel further among more, it is *dead* and leaves the roster everywhere.
Only the member itself raises its incarnation: when it hears that it is suspected or dead, and at each
start.  A rumour is repeated
``RETRANSMIT_MULTIPLIER * ceil(log10(n + 1))`` times to each linked peer's stream of heartbeats; a new link is
told the whole table.  Lost, repeated and reordered heartbeats are harmless, since merging claims is
commutative and idempotent.  A good-bye is a claim of death by the member itself, at its own incarnation.

Own slowness counts: when the heartbeat's timer fires late, silence and suspicion are stretched by as much.

Rumours change who is thought alive, never who is trusted.
Reference: Das, Gupta, Motivala, "SWIM", DSN 2002.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from math import ceil, log10
from typing import TypeAlias

from p2pfl.events import SetTimer, TimerFired

MAX_MEMBERS = 4096  # entries of the table; further strangers are not admitted
MAX_RUMOURS = 64  # in one heartbeat
RETRANSMIT_MULTIPLIER = 4  # memberlist's value for a LAN
HURRY_S = 0.05  # a heartbeat with news waits no longer than this, so that news travel in batches
LAG_S = 0.2  # a timer that fires later than this shows that this node was busy
HEARTBEAT_TIMER = "membership.heartbeat"
ROSTER_HASH_BYTES = 8


class State(IntEnum):
    """What is believed of a member; within one incarnation the larger claim wins."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


@dataclass(frozen=True, slots=True)
class Rumour:
    """A claim about a member; of two the larger (incarnation, state) is believed."""

    member: str
    incarnation: int
    state: State
    name: str = ""
    address: str = ""  # where to dial, a hint

    @property
    def rank(self) -> tuple[int, int]:
        """The order in which claims about one member override each other."""
        return self.incarnation, self.state


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent on every link each ``heartbeat_s``: I am alive, and this is what I have heard."""

    incarnation: int
    roster: bytes  # short hash of the sender's roster, so that a disagreement is seen
    rumours: tuple[Rumour, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkUp:
    """An authenticated link to a peer is up; ``accepts_us`` and ``shares_with_us`` are its own words."""

    peer: str
    incarnation: int
    name: str = ""
    address: str = ""
    accepts_us: bool = True
    shares_with_us: bool = True


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The last link to a peer is gone; ``left`` when it said good-bye."""

    peer: str
    left: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A heartbeat has arrived over a link."""

    peer: str
    heartbeat: Heartbeat


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A member could not be dialled at any address."""

    peer: str


@dataclass(frozen=True, slots=True)
class Active:
    """Bytes keep arriving from a linked peer, though no packet is whole yet: a long body hides heartbeats."""

    peer: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a heartbeat to a linked peer; best effort."""

    to: str
    heartbeat: Heartbeat


Input: TypeAlias = LinkUp | LinkDown | Heard | Active | Unreachable


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods of the failure detector, in seconds."""

    heartbeat_s: float = 1.0
    silence_s: float = 5.0  # a linked peer silent for so long is suspected
    suspicion_s: float = 3.0  # a suspect not refuted for so long is dead; longer among more than ten


Output: TypeAlias = Tell | SetTimer


def roster_hash(members: Iterable[str]) -> bytes:
    """A short hash of who takes part, the same for every order, so that a disagreement is seen."""
    return sha256("\n".join(sorted(members)).encode()).digest()[:ROSTER_HASH_BYTES]


class Membership:
    """The table of one node: what it believes of every member, and what it still has to pass on."""

    def __init__(self, me: Rumour, timing: Timing | None = None) -> None:
        self._me = me
        self._timing = timing or Timing()
        self._table: dict[str, Rumour] = {me.member: me}
        self._retransmits: dict[str, int] = {me.member: 1}
        self._deadline_s: dict[str, float] = {}  # of suspects
        self._heard_s: dict[str, float] = {}  # of linked peers
        self._due_s = 0.0  # when the next heartbeat should be sent
        self._roster: Mapping[str, str] = {me.member: me.name}
        self._roster_hash = roster_hash(self._roster)

    @property
    def roster(self) -> Mapping[str, str]:
        """Live members, this node included: id -> name, sorted; a new object whenever the ids change."""
        return self._roster

    @property
    def linked(self) -> frozenset[str]:
        """Members with a link up to this node."""
        return frozenset(self._heard_s)

    @property
    def me(self) -> str:
        """This node's id."""
        return self._me.member

    @property
    def incarnation(self) -> int:
        """This node's own incarnation; rises when it has to refute a rumour about itself."""
        return self._table[self._me.member].incarnation

    @property
    def table(self) -> Mapping[str, Rumour]:
        """What is believed of every member ever heard of, the dead included."""
        return self._table

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
            case LinkDown(peer, left):
                return self._lose(peer, now_s, has_left=left)
            case Active(peer):
                self.touch(peer, now_s)
                return []
            case Unreachable(peer):
                return self._suspect(peer, now_s)

    def touch(self, peer: str, now_s: float) -> None:
        """Anything that arrives from a linked peer shows that it is alive."""
        if peer in self._heard_s:
            self._heard_s[peer] = now_s

    def _welcome(self, link: LinkUp, now_s: float) -> list[Output]:
        if link.peer not in self._table and len(self._table) >= MAX_MEMBERS:
            return []
        self._heard_s[link.peer] = now_s
        claim = Rumour(link.peer, link.incarnation, State.ALIVE, link.name, link.address)
        outputs = self._learn([claim], now_s)
        everything = list(self._table.values())
        chunks = range(0, len(everything), MAX_RUMOURS)
        return [*outputs, *(self._tell(link.peer, everything[i : i + MAX_RUMOURS]) for i in chunks)]

    def _lose(self, peer: str, now_s: float, *, has_left: bool) -> list[Output]:
        self._heard_s.pop(peer, None)
        known = self._table.get(peer)
        if known is None or known.state is State.DEAD:
            return []
        state = State.DEAD if has_left else State.SUSPECT
        return self._learn([replace(known, state=state)], now_s)

    def _listen(self, peer: str, heartbeat: Heartbeat, now_s: float) -> list[Output]:
        self.touch(peer, now_s)
        known = self._table.get(peer)
        direct = []
        if known is not None and peer in self._heard_s:
            direct = [replace(known, incarnation=heartbeat.incarnation, state=State.ALIVE)]
        return self._learn([*direct, *heartbeat.rumours], now_s)

    def _suspect(self, peer: str, now_s: float) -> list[Output]:
        # The others are asked through a rumour, which the suspect can refute.
        known = self._table.get(peer)
        if known is None or known.state is not State.ALIVE or peer == self._me.member:
            return []
        return self._learn([replace(known, state=State.SUSPECT)], now_s)

    def _beat_after(self, delay_s: float, now_s: float) -> SetTimer:
        self._due_s = now_s + delay_s
        return SetTimer(HEARTBEAT_TIMER, delay_s)

    def _forgive(self, lag_s: float) -> None:
        """While this node was busy it heard nobody: that time does not count against the others."""
        if lag_s > LAG_S:
            self._heard_s = {peer: heard_s + lag_s for peer, heard_s in self._heard_s.items()}
            self._deadline_s = {peer: deadline_s + lag_s for peer, deadline_s in self._deadline_s.items()}

    def _beat(self, now_s: float) -> list[Output]:
        self._forgive(now_s - self._due_s)
        silent = [p for p, heard_s in self._heard_s.items() if now_s - heard_s > self._timing.silence_s]
        outputs = [output for peer in silent for output in self._suspect(peer, now_s)]
        expired = [member for member, deadline_s in self._deadline_s.items() if deadline_s <= now_s]
        outputs += self._learn([replace(self._table[m], state=State.DEAD) for m in expired], now_s)
        rumours = self._take_rumours()
        outputs += [self._tell(peer, rumours) for peer in sorted(self._heard_s)]
        # The period, which `_learn` may have shortened, starts anew with this beat.
        return [*(o for o in outputs if isinstance(o, Tell)), self._beat_after(self._period_s(), now_s)]

    def _period_s(self) -> float:
        return HURRY_S if self._retransmits else self._timing.heartbeat_s

    def _take_rumours(self) -> list[Rumour]:
        # The least often repeated first, so that news overtake what has been said already.
        chosen = sorted(self._retransmits, key=lambda m: (-self._retransmits[m], m))[:MAX_RUMOURS]
        for member in chosen:
            self._retransmits[member] -= 1
            if self._retransmits[member] <= 0:
                del self._retransmits[member]
        return [self._table[member] for member in chosen]

    def _learn(self, claims: list[Rumour], now_s: float) -> list[Output]:
        news = [claim for claim in claims if self._believe(claim, now_s)]
        if not news:
            return []
        self._rebuild_roster()
        repeats = RETRANSMIT_MULTIPLIER * ceil(log10(len(self._table) + 1))
        for claim in news:
            self._retransmits[claim.member] = repeats
        return [self._beat_after(HURRY_S, now_s)]

    def _believe(self, claim: Rumour, now_s: float) -> bool:
        if claim.member == self._me.member:
            return self._refute(claim)
        known = self._table.get(claim.member)
        if known is None and len(self._table) >= MAX_MEMBERS:
            return False
        if known is not None:
            if claim.rank <= known.rank:
                return False
            # A claim about a member may know less of it than we do.
            claim = replace(claim, name=claim.name or known.name, address=claim.address or known.address)
        self._table[claim.member] = claim
        if claim.state is State.SUSPECT:
            patience = max(1.0, log10(len(self._table)))
            self._deadline_s[claim.member] = now_s + self._timing.suspicion_s * patience
        else:
            self._deadline_s.pop(claim.member, None)
        return True

    def _refute(self, claim: Rumour) -> bool:
        mine = self._table[claim.member]
        if claim.rank <= mine.rank:
            return False
        self._table[claim.member] = replace(mine, incarnation=claim.incarnation + 1)
        return True

    def _rebuild_roster(self) -> None:
        alive = sorted(m for m, rumour in self._table.items() if rumour.state is not State.DEAD)
        if alive != list(self._roster):
            self._roster = {member: self._table[member].name for member in alive}
            self._roster_hash = roster_hash(alive)

    def _tell(self, peer: str, rumours: list[Rumour]) -> Tell:
        return Tell(peer, Heartbeat(self.incarnation, self._roster_hash, tuple(rumours)))


class FixedMembership:
    """A roster that never changes, for simulations: only links come and go, and nothing is said.

    ``roster`` is one object shared by all nodes.
    """

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
        match event:
            case LinkUp(peer):
                self._linked |= {peer}
            case LinkDown(peer):
                self._linked -= {peer}
            case _:
                pass
        return []

    def touch(self, peer: str, now_s: float) -> None:
        """Of no interest: links are told."""
