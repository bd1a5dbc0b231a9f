"""What travels over a link: greetings when it comes up, then envelopes and heartbeats."""

from dataclasses import dataclass
from typing import TypeAlias

from p2pfl.errors import RemoteError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.wire.ping import Ping, Pong

MAJOR_VERSION = 1
MINOR_VERSION = 0


@dataclass(frozen=True, slots=True)
class Greeting:
    """What each side says of itself when a link comes up, before anything else.

    ``network`` is the 32-byte network id, ``plan`` the 8-byte hash of (topology, protocol, options, seed,
    task), ``plan_words`` the same for people; ``address`` is where this node listens.
    """

    id: str
    name: str
    network: bytes
    incarnation: int
    boot: bytes  # 8 random bytes per start of the process
    plan: bytes
    plan_words: str
    address: str = ""
    accepts_you: bool = True
    shares_with_you: bool = True
    version: str = ""  # of the program, for people


def check_greeting(ours: Greeting, theirs: Greeting) -> None:
    """Refuse another network, another plan, or ourselves, with the code that goes over the wire.

    Raises RemoteError with code ``wrong_network``, ``wrong_plan`` or ``own_id``.
    """
    if theirs.network != ours.network:
        raise RemoteError("the peer belongs to another network", code="wrong_network")
    if theirs.id == ours.id:
        raise RemoteError("the peer has our own id", code="own_id")
    if theirs.plan != ours.plan:
        what = f"the peer runs another plan: theirs is {theirs.plan_words}; ours is {ours.plan_words}"
        raise RemoteError(what, code="wrong_plan")


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """A protocol's message with the short hash of the sender's roster."""

    message: Message
    roster: bytes


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sender ends the link on purpose: a stable word (``leaving``), and a text for people."""

    code: str
    text: str = ""


Packet: TypeAlias = Envelope | Heartbeat | Goodbye | Ping | Pong
