"""The one model that travels, with the words that say how far it has come and where it is going."""

from dataclasses import dataclass
from typing import TypeAlias

from p2pfl.events import Message
from p2pfl.model import Model

KIND = "token"
ACK_KIND = "token_ack"
FINAL_KIND = "final_model"
OFFER_KIND = "final_offer"
REQUEST_KIND = "final_request"
HAVE_KIND = "final_have"
QUERY_KIND = "token_query"
ANSWER_KIND = "token_answer"

ARRIVED = 1 << 30  # behind any number of relays
MAX_NUMBER = 1 << 62

# (mint, lap, position, relays): of two tokens the larger one is the newer.
Rank: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A model on its way to a place of the order.

    ``position`` counts places within the lap, those that were skipped included; ``hop`` counts trainings
    so far.  ``relays`` counts the members between the last place and here.  ``last`` is the member that
    trained last, once the final lap has begun.  ``sender`` and ``failed`` (members that were tried instead
    of ``place``) are known here only and do not travel.
    """

    mint: int
    lap: int
    position: int
    place: str
    hop: int
    model: Model
    relays: int = 0
    last: str = ""
    sender: str = ""
    failed: frozenset[str] = frozenset()

    def rank(self, at: str) -> Rank:
        """What decides at member ``at`` whether this token is news; the place itself ranks behind relays."""
        return self.mint, self.lap, self.position, ARRIVED if self.place == at else self.relays

    @property
    def words(self) -> dict[str, int | float | str | bytes]:
        """The fields of the message."""
        return {
            "mint": self.mint,
            "lap": self.lap,
            "position": self.position,
            "relays": self.relays,
            "place": self.place,
            "last": self.last,
        }

    def message(self) -> Message:
        """The message that hands the token over."""
        return Message(KIND, self.hop, self.model, self.words)

    def acknowledgement(self) -> Message:
        """The message that says: stored, mine now."""
        return Message(ACK_KIND, self.hop, None, self.words)

    def is_acknowledged_by(self, message: Message) -> bool:
        """Does the message acknowledge this very token?"""
        return message.kind == ACK_KIND and message.round == self.hop and message.fields == self.words


def token_of(message: Message, sender: str) -> Token | None:
    """The token in a message; None when it is none or malformed."""
    numbers = [message.round, *(message.fields.get(name) for name in ("mint", "lap", "position", "relays"))]
    if message.kind != KIND or message.model is None or not all(_is_number(each) for each in numbers):
        return None
    hop, mint, lap, position, relays = (int(each) for each in numbers if isinstance(each, int))
    place, last = message.fields.get("place"), message.fields.get("last")
    if not isinstance(place, str) or not isinstance(last, str) or relays >= ARRIVED:
        return None
    return Token(mint, lap, position, place, hop, message.model, relays, last, sender)


def _is_number(found: object) -> bool:
    return isinstance(found, int) and 0 <= found <= MAX_NUMBER
