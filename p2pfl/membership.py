"""Who is alive: heartbeats between linked peers, rumours of joins and deaths with incarnations.

Theory of operation.  A node hears directly from the peers it has a link with, and hears of all others
through rumours that ride on heartbeats.  What is known of a member is a pair (incarnation, state); of two
claims the higher incarnation wins, and within one incarnation ``dead`` beats ``suspect`` beats ``alive``.
A peer whose link breaks, or that stays silent for ``silence_s``, is *suspected*; unless somebody refutes
the suspicion within ``suspicion_s`` it is *dead* and leaves the roster everywhere.  Only the member itself
raises its incarnation: when it hears that it is suspected or dead, and at each start.  A rumour is repeated
``RETRANSMIT_MULTIPLIER * ceil(log10(n + 1))`` times to each linked peer's stream of heartbeats; a new link is
told the whole table.  Lost, repeated and reordered heartbeats are harmless, since merging claims is
commutative and idempotent.  A good-bye is a claim of death by the member itself, at its own incarnation.

Rumours change who is thought alive, never who is trusted.
Reference: Das, Gupta, Motivala, "SWIM", DSN 2002.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

MAX_MEMBERS = 4096  # entries of the table; further strangers are not admitted
MAX_RUMOURS = 64  # in one heartbeat
RETRANSMIT_MULTIPLIER = 4  # memberlist's value for a LAN
HEARTBEAT_TIMER = "membership.heartbeat"


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
class Tell:
    """Send a heartbeat to a linked peer; best effort."""

    to: str
    heartbeat: Heartbeat


Input: TypeAlias = LinkUp | LinkDown | Heard


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods of the failure detector, in seconds."""

    heartbeat_s: float = 1.0
    silence_s: float = 5.0  # a linked peer silent for so long is suspected
    suspicion_s: float = 3.0  # a suspect not refuted for so long is dead
