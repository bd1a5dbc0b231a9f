"""One model travels from member to member: what all protocols share that pass a token along.

Theory of operation.  Whoever holds the token trains its model and passes it to the next place; which place
that is, the ``Route`` says.  A round is one hop, that is, one training, so that no age exceeds ``rounds``.
The first member mints the token when it starts without a history.  A token's key is (mint, lap, position),
compared in this order; positions count the places of a lap, skipped ones included, and only grow.

*Acknowledgement.*  A receiver acknowledges only what it has stored.  The ack carries no model and goes back
to the sender even where no edge of the graph leads.
*Repetition.*  A token whose key is not above the last accepted one is acknowledged again and dropped.
*Retries.*  An unacknowledged token is sent ``TRIES`` times, after ``ack_timeout_s``, then twice and four
times that; then its place is skipped.
*Dead places.*  A place that is no member, not linked or not reachable is skipped at once, and so is one
that loses its link while its ack is outstanding.  A holder that reaches nobody at all keeps the token for
``ack_timeout_s`` before it takes the next turn itself; the final one it keeps until somebody is back.
*A lost acknowledgement* makes the sender skip a living place, and there are two tokens.  Both go to places
with the same keys, so the later one dies as a repetition.  A node that holds the older of two tokens drops
it, and what it has trained on it, for the newer.  No member trains twice in one (mint, lap): it passes such
a token on untrained.
*Relays.*  A place that is no neighbour is reached along a shortest path of the graph; the members between
store, acknowledge and forward, but do not train.  A relay that gets no further skips the place itself.
*The end.*  After ``rounds`` hops the token makes one lap without training, in the order of the members and
back to whoever trained last; each adopts its model and finishes.  In this lap a linked place is never given
up.  Who misses the end all the same is offered the model until it has it: ``final_offers``.  A token that is
still to be trained and meets a finished node turns into another final lap.
*Trust that ends.*  A token from somebody who is no longer accepted here, and not yet trained here, is
dropped, and made anew like any that is lost.
*Restarts.*  Token and phase are stored before the ack and before it is passed on: a restarted holder trains
on, or passes on again, and nothing counts twice.
*A lost token*, which died with its holder or was never minted, is noticed by asking (``token_watch`` says
when, ``token_search`` how), and minted anew, with the next mint, by the living member of the lowest id, from
the model that it has.  It goes the same way again; members whose own model has more training behind it put
that in its place and pass it on untrained, so that only what died with the holder is trained again, and no
age falls.  A token of a lower mint is a repetition everywhere: of two, minted on both sides of a partition
or by one that comes back with an old one on its disk, one survives.  Who is linked with nobody mints
nothing.  Two sides of a partition that both come to their end keep two final models.

Forged keys cannot be told from true ones: a member that lies can end or fork the run, or keep a lost token
from being minted anew.
"""

from math import isfinite

from p2pfl.errors import ConfigError
from p2pfl.events import (
    Effect,
    Event,
    Finish,
    Message,
    PeersChanged,
    Received,
    SetTimer,
    Started,
    TimerFired,
    Trained,
    View,
)
from p2pfl.model import Snapshot
from p2pfl.protocols.final_offers import OFFER_TIMER, FinalOffers
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.token_holder import Route, TokenHolder
from p2pfl.protocols.token_search import SEARCH_TIMER, Mark, TokenSearch
from p2pfl.protocols.token_snapshot import History
from p2pfl.protocols.token_watch import TokenWatch

HOPS_PER_NODE = 20
ACK_TIMEOUT_S = 10.0
WATCH_TIMER = "token_watch"


class TokenPass:
    """The state machine of one node; ``CyclicPass`` and ``RandomWalk`` give it a route."""

    def __init__(self, setup: Setup, route: Route, *, ack_timeout_s: float = ACK_TIMEOUT_S) -> None:
        if not (isfinite(ack_timeout_s) and ack_timeout_s > 0):
            raise ConfigError(
                f"ack_timeout_s = {ack_timeout_s} is no waiting time",
                where="[protocol] ack_timeout_s",
                fix="seconds above 0: twice what a transfer and a checkpoint take",
            )
        self._setup = setup
        self._holder = TokenHolder(setup, route, ack_timeout_s=ack_timeout_s)
        self._offers = FinalOffers(setup.rounds, ack_timeout_s)
        self._search = TokenSearch(setup.me, start=setup.start, ack_timeout_s=ack_timeout_s)
        self._watch = TokenWatch(ack_timeout_s)
        self._view: View | None = None
        self._is_started = False

    @property
    def turn(self) -> tuple[int, int] | None:
        """The (mint, lap) in which this member has trained last."""
        return self._holder.history.visited

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        """React to one event."""
        before = self._holder.history
        match event:
            case PeersChanged(view):
                effects = self._look_round(view, now_s)
            case Started():
                return self._begin(now_s)
            case Received(sender, message):
                effects = [] if self._view is None else self._hear(sender, message, self._view)
            case Trained(model):
                effects = self._holder.trained(model)
            case TimerFired(name):
                effects = [] if self._view is None else self._wait_no_longer(name, self._view, now_s)
        return [*effects, *self._conclude(before, now_s)]

    def snapshot(self) -> Snapshot:
        """The node's model, the token it holds, and which tokens it has seen."""
        return self._holder.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take the token up where it was stored."""
        self._holder.restore(snapshot)

    @property
    def _is_finished(self) -> bool:
        return self._holder.history.is_finished

    @property
    def _mark(self) -> Mark:
        history = self._holder.history
        return history.rank or (0, 0, 0, 0), self._holder.is_holding, history.is_finished

    def _look_round(self, view: View, now_s: float) -> list[Effect]:
        before, self._view = self._view, view
        onward = self._holder.look_round(view)
        if before is None or not self._is_started:
            return onward
        here, were = (each.live & set(each.members) for each in (view, before))
        if self._is_finished:
            busy = self._holder.busy_with
            offers = self._offers.offer(view, here - were, but=busy)
            return [*onward, *offers, *self._offers.begin(view, but=busy)]
        self._watch.changed(now_s, is_loss=not were <= here)
        return [*onward, *self._wait_for_token(view, now_s)]

    def _begin(self, now_s: float) -> list[Effect]:
        if self._is_started or self._view is None:
            return []
        self._is_started = True
        view, onward = self._view, self._holder.begin()
        if self._is_finished:
            busy = self._holder.busy_with
            offers = [*self._offers.offer(view, view.live, but=busy), *self._offers.begin(view, but=busy)]
            return [*onward, *offers, self._finish()]
        self._watch.begin(now_s)
        if view.members[0] not in {view.me, *view.live}:  # who mints the first token is not there
            self._watch.changed(now_s, is_loss=True)
        return [*onward, *self._wait_for_token(view, now_s)]

    def _hear(self, sender: str, message: Message, view: View) -> list[Effect]:
        match message.kind:
            case "token":
                return self._receive(sender, message, view)
            case "token_ack":
                return self._let_go(sender, message)
            case "token_query":
                return self._answer_query(sender, message, view)
            case "token_answer":
                return [*self._search.hear(message, view), *self._judge(view)]
            case _:
                return self._hear_of_the_end(sender, message, view)

    def _hear_of_the_end(self, sender: str, message: Message, view: View) -> list[Effect]:
        match message.kind:
            case "final_model":
                return self._receive_final(sender, message, view)
            case "final_offer":
                return self._answer_offer(sender, message, view)
            case "final_request" if self._is_finished:
                return self._offers.hand(view, sender, self._holder.model)
            case "final_have":
                self._offers.has_finished(sender)
        return []

    def _receive(self, sender: str, message: Message, view: View) -> list[Effect]:
        before = self._holder.history
        effects = self._holder.receive(sender, message)
        if not effects:
            return []
        is_final = bool(message.fields.get("last"))
        if is_final and message.fields.get("relays") == 0:
            self._offers.has_finished(sender)  # it comes from the place before this one
        if is_final or not self._is_finished or self._holder.history != before:
            return effects
        return [*effects, *self._offers.offer(view, {sender}, but=self._holder.busy_with)]

    def _let_go(self, sender: str, acknowledgement: Message) -> list[Effect]:
        self._holder.let_go(sender, acknowledgement)
        if acknowledgement.fields.get("last") and acknowledgement.fields.get("place") == sender:
            self._offers.has_finished(sender)
        return []

    def _is_from_the_end(self, sender: str, message: Message, view: View) -> bool:
        is_accepted = self._is_started and sender in view.accepted
        return is_accepted and message.round == self._setup.rounds > 0

    def _answer_offer(self, sender: str, offer: Message, view: View) -> list[Effect]:
        if not self._is_from_the_end(sender, offer, view):
            return []
        self._offers.has_finished(sender)
        return self._offers.answer(sender, self._holder.model if self._is_finished else None)

    def _receive_final(self, sender: str, message: Message, view: View) -> list[Effect]:
        model, is_finished = message.model, self._is_finished
        if model is None or not self._is_from_the_end(sender, message, view):
            return []
        if model.params.shape != self._holder.model.params.shape:
            return []
        self._offers.has_finished(sender)
        adopted = [] if is_finished else self._holder.take_final(model, sender)
        others = () if is_finished else view.live - {sender}
        offers = self._offers.offer(view, others, but=self._holder.busy_with)
        return [*adopted, *self._offers.answer(sender, self._holder.model), *offers]

    def _answer_query(self, sender: str, query: Message, view: View) -> list[Effect]:
        asker, onward = self._search.pass_on(sender, query, view)
        if not asker:
            return []
        effects = [*onward, *self._search.answer(asker, view, self._mark)]
        if self._is_finished:  # it has missed the end
            busy = self._holder.busy_with
            return [
                *effects,
                *self._offers.offer(view, {asker}, but=busy),
                *self._offers.begin(view, but=busy),
            ]
        is_free = self._is_lowest(view) and not self._search.is_under_way and not self._holder.is_holding
        return [*effects, *(self._search.begin(view) if self._setup.me < asker and is_free else [])]

    def _wait_no_longer(self, timer: str, view: View, now_s: float) -> list[Effect]:
        if timer == OFFER_TIMER:
            return self._offers.again(view, but=self._holder.busy_with) if self._is_finished else []
        if timer == WATCH_TIMER:
            return [] if self._is_finished else self._watch_out(view, now_s)
        if timer == SEARCH_TIMER:
            self._search.timed_out()
            return self._judge(view) or self._search.ask(view)
        return self._holder.wait_no_longer(timer)

    def _is_lowest(self, view: View) -> bool:
        """Is this member, of those it is linked with, the one that mints?"""
        linked = view.live & set(view.members)
        return bool(linked) and self._setup.me < min(linked)

    def _wait_for_token(self, view: View, now_s: float) -> list[Effect]:
        if not self._is_lowest(view):
            return []
        wait_s = self._watch.wait_s(now_s, len(view.members))
        return [] if wait_s is None else [SetTimer(WATCH_TIMER, wait_s)]

    def _watch_out(self, view: View, now_s: float) -> list[Effect]:
        """Has the token been away too long?  Then ask for it."""
        if not self._is_lowest(view):
            return []
        if self._holder.is_holding or self._search.is_under_way:
            self._watch.begin(now_s)  # from now on
        if self._watch.wait_s(now_s, len(view.members)) != 0:
            return self._wait_for_token(view, now_s)
        self._watch.searched(now_s)
        return [*self._search.begin(view), *self._wait_for_token(view, now_s)]

    def _judge(self, view: View) -> list[Effect]:
        """Is a search over, and what comes of it?"""
        mint = self._search.lost(view, self._mark)
        if mint is not None:
            return self._holder.mint(mint)
        return self._search.ask(view) if self._search.is_to_be_asked() else []

    def _conclude(self, before: History, now_s: float) -> list[Effect]:
        """What follows when a token has been accepted, or the end has come."""
        after = self._holder.history
        if after.rank != before.rank:
            self._watch.seen(now_s)
        if after.rank != before.rank or after.is_finished:
            self._search.stop()
        if before.is_finished or not after.is_finished or self._view is None:
            return []
        return [*self._offers.begin(self._view, but=self._holder.busy_with), self._finish()]

    def _finish(self) -> Finish:
        return Finish(f"{self._setup.rounds} hops done")
