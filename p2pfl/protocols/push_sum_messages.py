"""What nodes say to each other in push-sum: totals, and two kinds of words.

A step is one exchange: ``round * mixing_rounds + mixing``.
"""

from math import isfinite

import numpy as np

from p2pfl.events import Message
from p2pfl.protocols.patience import WAITING_KIND
from p2pfl.protocols.push_sum_book import UNKNOWN, Outgoing, Totals

PUSH = "push"
AHEAD = "ahead"  # words only: "I am in this step, what you wait for will not come"
MARK = "mark"  # words only: "your totals count here under this mark"


def push(place: tuple[int, int], account: Outgoing, *, age: int) -> Message:
    """All that was ever pushed over a link; ``place`` is (round, mixing)."""
    totals = account.totals
    fields: dict[str, int | float | str | bytes] = {
        "mixing": place[1],
        "ledger": totals.ledger,
        "number": totals.number,
        "weight": totals.weight,
        "mark": account.mark,
        "age": age,
    }
    return Message(PUSH, place[0], fields=fields, body=(totals.params,))


def ahead(place: tuple[int, int]) -> Message:
    """The step (round, mixing) in which this node is."""
    return Message(AHEAD, place[0], fields={"mixing": place[1]})


def waiting(place: tuple[int, int]) -> Message:
    """The step (round, mixing) whose totals this node has shared, and in which it waits for others."""
    return Message(WAITING_KIND, place[0], fields={"mixing": place[1]})


def answer(question: Message, mark: bytes) -> Message:
    """The mark under which the sender's totals count."""
    return Message(MARK, question.round, fields={"mark": mark})


def step_of(message: Message, mixing_rounds: int) -> int | None:
    """The step that a message belongs to; None when it names none."""
    mixing = message.fields.get("mixing", 0)
    if message.round < 0 or not isinstance(mixing, int) or not 0 <= mixing < mixing_rounds:
        return None
    return message.round * mixing_rounds + mixing


def totals_of(message: Message, parameters: int) -> Totals | None:
    """The totals of a message, or None if they are none, not finite, or of another model."""
    fields = message.fields
    ledger, number, weight = fields.get("ledger"), fields.get("number"), fields.get("weight")
    if not isinstance(ledger, bytes) or not isinstance(number, int) or not isinstance(weight, int | float):
        return None
    if number < 0 or not isfinite(weight) or weight < 0 or len(message.body) != 1:
        return None
    params = message.body[0]
    if params.dtype != np.float64 or params.shape != (parameters,) or not np.isfinite(params).all():
        return None
    return Totals(ledger, number, params.astype(np.float64, copy=False), float(weight))


def mark_of(message: Message) -> bytes:
    """The mark that a message names, if any."""
    mark = message.fields.get("mark")
    return mark if isinstance(mark, bytes) else UNKNOWN


def age_of(message: Message) -> int:
    """The age of the model behind the totals."""
    age = message.fields.get("age")
    return age if isinstance(age, int) and age >= 0 else 0
