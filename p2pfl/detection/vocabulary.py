"""The words of the failure detector: claims about members, what links tell it, and what it answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import TypeAlias

ROSTER_HASH_BYTES = 8
SILENCE_BEATS = 5.0  # heartbeats that may be missing before a peer is suspected
SUSPICION_BEATS = 3.0  # heartbeats for which a suspect may refute
TOMBSTONE_S = 3600.0


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
    """The last link to a peer is gone; ``left`` when it stops for good."""

    peer: str
    left: bool = False
    is_unneeded: bool = False  # one side had no more use for the link; nothing is wrong with the peer


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
    tombstone_s: float = TOMBSTONE_S  # the dead are forgotten after so long

    @staticmethod
    def of(heartbeat_s: float) -> "Timing":
        """Periods that fit a heartbeat: five missed ones are silence, suspicion lasts three."""
        return Timing(heartbeat_s, SILENCE_BEATS * heartbeat_s, SUSPICION_BEATS * heartbeat_s)


def roster_hash(members: Iterable[str]) -> bytes:
    """A short hash of who takes part, the same for every order, so that a disagreement is seen."""
    return sha256("\n".join(sorted(members)).encode()).digest()[:ROSTER_HASH_BYTES]
