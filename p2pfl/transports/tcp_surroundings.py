"""What all links of one TCP transport share, and what they tell it of themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from p2pfl.errors import RemoteError
from p2pfl.transports.guests import Objection
from p2pfl.transports.tls import Security
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from p2pfl.wire.pool import BufferPool

Teller = TypeVar("Teller")


class Stage(Enum):
    """What a link tells its transport of itself."""

    CONNECTED = "connected"
    PROVED = "proved"  # of a secure link: who it is has been proved, and may come in; it is to greet next
    UP = "up"  # both sides have greeted
    WAITING = "waiting"  # an offer waits for memory: ``retry`` when there may be some
    ENDED = "ended"


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings(Generic[Teller]):
    """What all links of one transport share, and whom they tell."""

    limits: Limits
    schema: BodySchema
    pool: BufferPool
    greeting: Callable[[], Greeting]
    handler: LinkHandler
    report: Callable[[str, RemoteError], None]  # the address and the reason of a link refused or broken off
    tell: Callable[[Teller, Stage], None]
    objection: Callable[[str], Objection | None]  # of ours against a link with a peer
    security: Security | None = None  # without it links are neither encrypted nor authenticated
