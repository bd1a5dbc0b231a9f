"""Is there still a token?  Asks everybody until it is certain: a slow training is not taken for a loss.

Theory of operation.  A member that is linked with nobody of a lower id may ask: ``token_query``, with a
number.  Whoever hears it first time passes it on over its other links, where the one who asks is not linked
with everybody, and answers with the newest rank it has seen, and whether it holds a token; answers go back
the way that the query came.  A token is let go only when the next member has stored it, so at every moment
somebody that is alive holds it; but it moves while members are asked.  So all are asked twice: when the
second answers are those of the first, and nobody holds, then there was a moment in between at which nobody
held and nothing moved, and the token is lost.  It is minted anew with the highest mint heard, plus one.

Who answers that it holds a token, or has finished, or has a lower id, ends the search; the latter searches
itself.  Queries are repeated after ``ack_timeout_s``; a member without a link that has not answered
``FAR_TRIES`` of them is not waited for, one with a link after ``TRIES``.  Repeated and late answers are
harmless: an answer counts for the collection in which its query was asked.  If an error or a partition makes
two members mint, of their tokens one survives like any fork.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from p2pfl.events import Effect, Message, Send, SetTimer, View
from p2pfl.protocols.token import ANSWER_KIND, MAX_NUMBER, QUERY_KIND, Rank

SEARCH_TIMER = "token_search"
TRIES = 8
FAR_TRIES = 2
MAX_COLLECTIONS = 6
PER_START = 1 << 20  # queries of one start of a node

# Who looks in vain for how long: (rank, is_holding, is_finished)
Mark: TypeAlias = tuple[Rank, bool, bool]


@dataclass(slots=True)
class _Collection:
    first: int  # the number of its first query
    tries: int = 0
    timeouts: int = 0
    marks: dict[str, Mark] = field(default_factory=dict)


class TokenSearch:
    """Both sides of it: the search of this member, and what it answers and passes on for others."""

    def __init__(self, me: str, *, start: int, ack_timeout_s: float) -> None:
        self._me = me
        self._ack_timeout_s = ack_timeout_s
        self._number = (start * PER_START) % MAX_NUMBER  # above those of earlier starts
        self._ways: dict[str, tuple[int, str]] = {}  # who asks -> its newest number, and who passed it on
        self._collections: list[_Collection] = []  # of the search under way

    @property
    def is_under_way(self) -> bool:
        """Is this member searching?"""
        return bool(self._collections)

    def stop(self) -> None:
        """There is a token, or somebody else searches."""
        self._collections.clear()

    def begin(self, view: View) -> list[Effect]:
        """Ask everybody; ``lost`` says what came of it."""
        self._collections = [_Collection(self._number + 1)]
        return self._ask(view)

    def ask(self, view: View) -> list[Effect]:
        """Ask those who have not answered in time, or everybody if a collection begins."""
        return self._ask(view) if self._collections else []

    def timed_out(self) -> None:
        """The time for answers is over."""
        if self._collections:
            self._collections[-1].timeouts += 1

    def lost(self, view: View, own: Mark) -> int | None:
        """The mint of the token to be made, once it is certain that there is none; else None."""
        if not self._collections or not self._is_complete(view):
            return None
        if own[1]:
            self.stop()
            return None
        *earlier, last = self._collections
        last.marks[self._me] = own
        if earlier and earlier[-1].marks == last.marks:
            self.stop()
            return 1 + max(rank[0] for rank, _, _ in last.marks.values())
        if len(self._collections) >= MAX_COLLECTIONS:
            self.stop()
            return None
        self._collections.append(_Collection(self._number + 1))
        return None

    def is_to_be_asked(self) -> bool:
        """Has a collection begun for which nobody has been asked?"""
        return bool(self._collections) and self._collections[-1].tries == 0

    def pass_on(self, sender: str, query: Message, view: View) -> tuple[str, list[Effect]]:
        """Who asks in a query that is heard for the first time, or \"\"; and the query to others."""
        asker, number, is_far = (query.fields.get(name) for name in ("asker", "number", "is_far"))
        if not isinstance(asker, str) or not isinstance(number, int) or asker not in view.members:
            return "", []
        if asker == self._me or number <= self._ways.get(asker, (-1, ""))[0]:
            return "", []
        self._ways[asker] = number, sender
        others = sorted(view.live - {asker, sender}) if is_far else ()
        return asker, [Send(to, query) for to in others]

    def answer(self, asker: str, view: View, own: Mark) -> list[Effect]:
        """What this member knows, on the way to who asks."""
        number, via = self._ways[asker]
        (mint, lap, position, relays), is_holding, is_finished = own
        words: dict[str, int | float | str | bytes] = {
            "asker": asker,
            "number": number,
            "member": self._me,
            "mint": mint,
            "lap": lap,
            "position": position,
            "relays": relays,
            "is_holding": int(is_holding),
            "is_finished": int(is_finished),
        }
        return [Send(asker if asker in view.live else via, Message(ANSWER_KIND, 0, None, words))]

    def hear(self, answer: Message, view: View) -> list[Effect]:
        """An answer to this member's query, or one to be passed on."""
        asker, number, member = (answer.fields.get(name) for name in ("asker", "number", "member"))
        if not isinstance(asker, str) or not isinstance(number, int) or not isinstance(member, str):
            return []
        if asker != self._me:
            way = asker if asker in view.live else self._ways.get(asker, (0, ""))[1]
            return [Send(way, answer)] if way in view.live else []
        mark = _mark_of(answer)
        if mark is None or member not in view.members or not self._collections:
            return []
        _, is_holding, is_finished = mark
        if is_holding or is_finished or member < self._me:
            self.stop()
        elif number >= self._collections[-1].first:
            self._collections[-1].marks[member] = mark
        return []

    def _ask(self, view: View) -> list[Effect]:
        collection = self._collections[-1]
        collection.tries += 1
        self._number += 1
        is_far = not view.live >= set(view.members) - {self._me}
        query = Message(
            QUERY_KIND, 0, None, {"asker": self._me, "number": self._number, "is_far": int(is_far)}
        )
        # Who has answered passes the query on all the same: those behind it may not have.
        asked = sorted(view.live if is_far else view.live - collection.marks.keys())
        return [*(Send(to, query) for to in asked), SetTimer(SEARCH_TIMER, self._ack_timeout_s)]

    def _is_complete(self, view: View) -> bool:
        collection = self._collections[-1]
        silent = set(view.members) - {self._me} - collection.marks.keys()
        if len(self._collections) > 1:  # who was not there before is not waited for again
            silent &= view.live | self._collections[-2].marks.keys()
        if collection.tries == 0:
            return False
        if silent & view.live:
            return collection.timeouts >= TRIES
        return not silent or collection.timeouts >= FAR_TRIES


def _mark_of(answer: Message) -> Mark | None:
    found = [
        answer.fields.get(name) for name in ("mint", "lap", "position", "relays", "is_holding", "is_finished")
    ]
    numbers = [each for each in found if isinstance(each, int) and 0 <= each <= MAX_NUMBER]
    if len(numbers) != len(found):
        return None
    mint, lap, position, relays, is_holding, is_finished = numbers
    return (mint, lap, position, relays), bool(is_holding), bool(is_finished)
