"""What travels over a link: greetings when it comes up, then envelopes, heartbeats, and offers of bodies.

A message with arrays is offered first (OFFER); the other side takes it (ACCEPT) or not (REJECT); then the
arrays follow (BODY), and the other side says what became of them (RECEIPT).
"""

from dataclasses import dataclass
from typing import TypeAlias

from p2pfl.errors import RemoteError
from p2pfl.events import Message
from p2pfl.membership import Heartbeat
from p2pfl.wire.ping import Ping, Pong

MAJOR_VERSION = 1
MINOR_VERSION = 0
UNSAID = bytes(8)  # in place of a schema: of who only looks, and has loaded no task


@dataclass(frozen=True, slots=True)
class Greeting:
    """What each side says of itself when a link comes up, before anything else.

    ``network`` is the 32-byte network id, ``plan`` the 8-byte hash of (topology, protocol, options, seed,
    task), ``plan_words`` the same for people; ``schema`` is the 8-byte hash of the model's names, shapes and
    dtypes, ``schema_words`` its beginning for people; ``address`` is where this node listens.  Neither plan
    nor schema changes while a link is up, so that no message repeats them.
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
    schema: bytes = UNSAID
    schema_words: str = ""
    role: str = "node"


def check_greeting(ours: Greeting, theirs: Greeting) -> None:
    """Refuse another network, plan or model, or ourselves, with the code that goes over the wire.

    Raises RemoteError with code ``wrong_network``, ``wrong_plan``, ``wrong_schema`` or ``own_id``.
    """
    if theirs.network != ours.network:
        raise RemoteError("the peer belongs to another network", code="wrong_network")
    if theirs.id == ours.id:
        raise RemoteError("the peer has our own id", code="own_id")
    if theirs.plan != ours.plan:
        what = f"the peer runs another plan: theirs is {theirs.plan_words}; ours is {ours.plan_words}"
        raise RemoteError(what, code="wrong_plan")
    if UNSAID not in (ours.schema, theirs.schema) and theirs.schema != ours.schema:
        what = f"the peer's model is another: theirs is {theirs.schema_words}; ours is {ours.schema_words}"
        raise RemoteError(what, code="wrong_schema")


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """A protocol's message with the short hash of the sender's roster.

    ``start`` numbers the starts of the sending process, ``sequence`` its messages within one: a message with
    arrays whose (start, sequence) is not above the last one from its sender is a repetition.  Sequence 0 is
    none.
    """

    message: Message
    roster: bytes
    start: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """What a message with arrays would bring: the receiver decides on it before a byte of them flows."""

    start: int
    sequence: int
    kind: str
    round: int
    size_bytes: int  # of the body


@dataclass(frozen=True, slots=True)
class Accept:
    """The body of the offer may come."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Reject:
    """The body of the offer is not wanted: a stable word (``not_trusted``), and a text for people.

    With ``duplicate`` comes ``mark``, the (start, sequence) of the last message that came in; zeros for none.
    """

    sequence: int
    code: str
    text: str = ""
    mark: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a body that has arrived: ``kept``, or a stable word that says why not."""

    sequence: int
    code: str
    text: str = ""


KEPT = "kept"
BUSY = "busy"  # no memory for long: the sender's transport offers again, its protocol hears nothing of it


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The sender ends the link on purpose: a stable word (``leaving``), and a text for people."""

    code: str
    text: str = ""


Packet: TypeAlias = Envelope | Heartbeat | Goodbye | Ping | Pong
