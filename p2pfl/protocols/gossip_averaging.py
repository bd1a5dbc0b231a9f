"""Gossip averaging in synchronous rounds: train, share with the neighbours, average what they share.

Theory of operation (adapt-then-combine, ``X+ = W train(X)``).  In round r a node trains, sends the trained
model to its neighbours with the number r, waits for theirs, and adopts the weighted mean, summed in the
order of the sender ids, its own at its place.  The neighbourhood and its weights are those of the view at
the beginning of the round.  Messages carry their round: early ones are kept (four rounds per sender), late,
repeated and foreign ones change nothing.

A round ends when nobody is waited for any more.  Waited for is a sender of this round that is linked,
accepted, still a sender in the graph as it now is, and of which neither the model of this round nor
anything later has arrived; links are in order, so what is overtaken is lost.  A linked, silent sender is
waited for as long as its own recent behaviour justifies (``patience``), at most ``round_timeout_s`` (0 or
infinite: for ever, as deterministic runs want it).  The weight of whoever is missing returns to the node
itself: rows keep summing to 1, the mean moves a little.  A node that has neighbours, but a link to none of
them, waits for a link so long in each round: a short outage does not use its rounds up.

A lost message thus costs its receiver at most the timeout, a dead neighbour nothing once its link is down.
Whoever gets a model of a round that it has left behind answers ``ahead`` with its own round, in words only,
so that a node that has lost touch, or meets one that has finished, does not wait for what will never come.
Whoever becomes a linked neighbour while we wait, or after we have finished, is sent our model of the round,
so that a restarted node learns at once where the others are.  When all its linked senders are at least two
rounds ahead, and cannot be so in lockstep, or some by ``FAR_BEHIND``, a node goes on in the earliest of their
rounds, with its own model.  (On an undirected graph a neighbour is never more than one round ahead in
lockstep; on a digraph a sender may be as far ahead as our own message needs to reach it.)  Before that, a
node without a history, or one that was away, asks one of them for its model: ``late_join``.

A crash loses at most the round that was under way: round and model are stored before the next one begins;
in ``lockstep``, no crash changes a byte (``p2pfl.protocols.lockstep``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Finish,
    Message,
    PeersChanged,
    Received,
    Send,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
    View,
)
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.gossip_exchange import MODEL, Exchange, mixed
from p2pfl.protocols.late_join import CURRENT_KIND, JOIN_TIMER, MAX_ROUND, LateJoin, standing
from p2pfl.protocols.lockstep import Lockstep
from p2pfl.protocols.merge_gate import check_senders
from p2pfl.protocols.patience import (
    ANYBODY,
    DEVIATIONS,
    ROUND_TIMEOUT_S,
    WAITING_KIND,
    Patience,
    linked_senders,
)
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.round_buffer import RoundBuffer
from p2pfl.protocols.snapshots import model_values, restored_model, whole_number

DEFAULT_ROUNDS = 40
AHEAD = "ahead"  # words only: "I am in this round, what you wait for will not come"


class GossipAveraging:
    """Every node trains, then averages with its neighbours, round by round."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType(
        {MODEL: (1, "float32"), CURRENT_KIND: (1, "float32")}
    )

    def __init__(
        self,
        setup: Setup,
        *,
        round_timeout_s: float = ROUND_TIMEOUT_S,
        patience_deviations: float = DEVIATIONS,
        lockstep: bool = False,
    ) -> None:
        self._setup = setup
        self._patience = Patience(round_timeout_s, patience_deviations)
        self._join = LateJoin(round_timeout_s, setup.rounds)
        self._lockstep = Lockstep(is_on=lockstep)
        self._view: View | None = None
        self._round = 0  # the round under way; rounds when finished
        self._model = setup.model
        self._buffer = RoundBuffer()
        self._exchange: Exchange | None = None  # None before Started

    @staticmethod
    def default_rounds(nodes: int) -> int:  # noqa: ARG004
        """The budget when none is given, whatever the number of nodes."""
        return DEFAULT_ROUNDS

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        """React to one event; the time tells who is late."""
        self._patience.at(now_s)
        match event:
            case Received(sender, message):
                return self._hear(sender, message)
            case Trained(model):
                return self._share_trained(model)
            case PeersChanged(view):
                return self._look_round(view)
            case Started():
                return self._begin_round()
            case TimerFired(name):
                return self._wait_no_longer(name)

    @property
    def late(self) -> Mapping[str, int]:
        """Stale models: how many have come from each sender for rounds that were over."""
        return self._patience.late

    def snapshot(self) -> Snapshot:
        """The round to begin with, and the model for it; in lockstep also what was shared before."""
        values = {"round": self._round, **model_values(self._model), **self._lockstep.values()}
        return Snapshot(values, {MODEL: self._model.params, **self._lockstep.arrays()})

    def restore(self, snapshot: Snapshot) -> None:
        """Go on at the round after the last stored one."""
        self._round = whole_number(snapshot, "round")
        self._model = restored_model(snapshot, MODEL)
        self._lockstep.restore(snapshot, self._round)
        self._join.restored()

    def _is_finished(self) -> bool:
        return 0 < self._setup.rounds <= self._round

    @property
    def _timer(self) -> str:
        return f"gossip.round.{self._round}"

    def _look_round(self, view: View) -> list[Effect]:
        before, self._view = self._view, view
        self._buffer.keep_only(view.accepted)
        self._patience.keep_only(view.accepted)
        if before is None:
            return []
        self._patience.meet(view.live - before.live)
        self._join.keep_only(before.live & view.live)
        if self._join.asked and self._join.asked not in view.live:
            return self._ask_next()
        if self._exchange is None or self._exchange.trained is None:
            return []
        self._exchange.has_sent &= before.live & view.live  # a new link may belong to a restarted node
        return [*self._share(), *self._go_on()]

    def _begin_round(self) -> list[Effect]:
        if self._view is None or (self._exchange is not None and not self._is_finished()):
            return []
        if self._is_finished():
            return [*self._finish(self._lockstep.before or self._model), *self._share()]
        if not self._lockstep.is_on:
            where = standing(self._view, self._round, self._buffer.latest)
            asking = self._join.ask_if_late(where, self._buffer.has_model)
            if asking:
                return asking
            self._round = self._round if where.onward is None else where.onward
        self._buffer.forget_before(self._round)
        self._exchange = Exchange(self._view.neighbourhood(self._round))
        self._patience.begin(self._round)
        return [Train(self._model)]

    def _ask_if_late(self, view: View) -> list[Effect]:
        where = standing(view, self._round, self._buffer.latest)
        return self._join.ask_if_late(where, self._buffer.has_model)

    def _ask_next(self) -> list[Effect]:
        """No answer has come: ask somebody else, or go on with what is here."""
        assert self._view is not None
        where = standing(self._view, self._round, self._buffer.latest)
        asking = self._join.ask(where, self._buffer.has_model)
        return asking or (self._begin_round() if self._exchange is None else self._go_on())

    def _take_current(self, sender: str, message: Message) -> list[Effect]:
        """The model and the round of the peer that was asked: go on from there."""
        if self._view is None or sender not in self._view.accepted:
            return []
        model = self._join.taken(sender, message, round=self._round, own=self._model)
        if model is None:
            return []
        self._model, self._round = model, message.round
        adopted: list[Effect] = [Adopt(model, self._round, (sender,)), Store()]
        if self._exchange is not None and self._exchange.trained is None:
            self._exchange.is_void = True  # what is being trained now
            return adopted
        self._exchange = None
        return [*adopted, *self._begin_round()]

    def _share_trained(self, model: Model) -> list[Effect]:
        if self._exchange is None or self._exchange.trained is not None:
            return []
        if self._exchange.is_void:
            self._exchange = None
            return self._begin_round()
        self._exchange.trained = model
        self._patience.ready()
        return [*self._share(), *self._go_on()]

    def _wait_no_longer(self, timer: str) -> list[Effect]:
        if timer == JOIN_TIMER and self._join.asked:
            return self._ask_next()
        if timer != self._timer:
            return []
        words = self._say_waiting() if self._patience.fired() else []
        onward = self._go_on()
        return onward if timer != self._timer else [*words, *onward]  # it has gone on, or waits

    def _share(self) -> list[Effect]:
        """Send this round's model to the linked neighbours that have not got it.

        Also to those whom a change of the graph made neighbours meanwhile: they may wait for it already.
        """
        assert self._view is not None
        assert self._exchange is not None
        shared = self._shared_round()
        neighbours = (*self._exchange.neighbourhood.send_to, *self._view.neighbourhood(shared).send_to)
        message = Message(MODEL, shared, self._exchange.trained)
        effects: list[Effect] = []
        for to in neighbours:
            if to in self._view.live and to not in self._exchange.has_sent:
                self._exchange.has_sent.add(to)
                # A later round must not replace an earlier one: who waits for that one needs it.
                effects.append(Send(to, message, replaces=f"{MODEL}.{shared}"))
        return effects

    def _hear(self, sender: str, message: Message) -> list[Effect]:
        match message:
            case Message(kind="model", round=round, model=Model() as model):
                return self._keep(sender, round, model)
            case Message(kind="ahead", round=round):
                return self._note_ahead(sender, round)
            case Message(kind="waiting", round=round):
                return self._note_waiting(sender, round)
            case Message(kind="join"):
                return self._answer(sender, message)
            case Message(kind="current_model"):
                return self._take_current(sender, message)
            case _:
                return []

    def _keep(self, sender: str, round: int, model: Model) -> list[Effect]:
        if round < self._round and round < self._shared_round():
            if self._view is not None and self._lockstep.has_asked(self._view, sender, round):
                return self._lockstep.again(sender, round)
            if self._view is not None and sender in self._view.accepted:
                self._patience.late[sender] += 1
                self._patience.hear(sender, round)
            return [*self._say_ahead(sender), *self._go_on()]
        if not self._is_expected(sender, round) or model.params.shape != self._model.params.shape:
            return []
        self._buffer.add(sender, round, model)
        self._patience.hear(sender, round)
        return self._settle(sender)

    def _is_expected(self, sender: str, round: int) -> bool:
        limit = self._setup.rounds or MAX_ROUND
        is_accepted = self._view is not None and sender in self._view.accepted
        return is_accepted and not self._is_finished() and self._round <= round < limit

    def _say_ahead(self, sender: str) -> list[Effect]:
        """Whoever shares an earlier round has lost our message of it, or never had one."""
        shared = self._shared_round()
        if self._exchange is None or self._view is None:
            return []
        if sender not in self._view.neighbourhood(shared).send_to:
            return []
        return [Send(sender, Message(AHEAD, self._round), replaces=AHEAD)]

    def _note_ahead(self, sender: str, round: int) -> list[Effect]:
        if not self._is_expected(sender, max(round - 1, self._round)):  # in no round any more, perhaps
            return []
        if round < self._round:
            return []
        self._buffer.note(sender, round - 1)  # its model of this round may still come
        self._patience.hear(sender, round - 1)
        return self._settle(sender)

    def _answer(self, sender: str, question: Message) -> list[Effect]:
        """Whoever comes late gets the model with which this round began, if an edge leads there."""
        if self._exchange is None or self._view is None:
            return []
        if sender not in self._view.neighbourhood(self._shared_round()).send_to:
            return []
        return self._join.answer(sender, question, round=self._round, model=self._model)

    def _say_waiting(self) -> list[Effect]:
        """Tell those that this node sends to that it has not died."""
        assert self._view is not None
        receivers = self._view.neighbourhood(self._round).send_to
        words = Message(WAITING_KIND, self._round)
        return [Send(to, words, replaces=WAITING_KIND) for to in receivers if to in self._view.live]

    def _note_waiting(self, sender: str, round: int) -> list[Effect]:
        """A sender has shared its model of a round, and waits: perhaps for this node."""
        shared = self._shared_round()
        if self._view is None or sender not in self._view.accepted:
            return []
        self._patience.hear(sender, round)
        if round < shared:
            return [*self._say_ahead(sender), *self._go_on()]
        if self._is_finished():
            return self._say_ahead(sender) if round == shared else []
        if not self._is_expected(sender, round):
            return []
        self._buffer.note(sender, round)  # if its model has not come, it is lost
        return self._settle(sender)

    def _shared_round(self) -> int:
        """The round of the model that neighbours get from this node; the last one when it has finished."""
        return min(self._round, self._setup.rounds - 1) if self._is_finished() else self._round

    def _settle(self, sender: str) -> list[Effect]:
        """A sender has come further: go on if it was the last one that is waited for."""
        exchange, view = self._exchange, self._view
        if exchange is None or view is None:
            return []
        if self._join.is_new and not self._lockstep.is_on and self._buffer.latest(sender) > self._round + 1:
            asking = self._ask_if_late(view)
            if asking:
                return asking
        if exchange.trained is None:
            return []
        if sender in exchange.awaited and not self._is_missing(sender, exchange):
            exchange.awaited.remove(sender)
        return self._go_on_without_looking(exchange)

    def _go_on(self) -> list[Effect]:
        """Merge if nobody is waited for, or no longer; else see to it that the wait ends."""
        exchange = self._exchange
        if exchange is None or exchange.trained is None or self._is_finished():
            return []
        self._look_for_awaited(exchange)
        return self._go_on_without_looking(exchange)

    def _go_on_without_looking(self, exchange: Exchange) -> list[Effect]:
        if self._join.asked:
            return []
        timer = self._patience.wait(self._timer, exchange.awaited)
        return self._merge(exchange) if timer is None else list(timer)

    def _look_for_awaited(self, exchange: Exchange) -> None:
        """Who is waited for?  Remembers it, so that the missing can be named."""
        assert self._view is not None
        linked, is_alone = linked_senders(exchange.neighbourhood, self._view, self._round)
        was_alone = ANYBODY in exchange.awaited
        linked |= self._lockstep.absent(exchange.neighbourhood, self._view, self._round)
        exchange.awaited = {sender for sender in linked if self._is_missing(sender, exchange)}
        exchange.waited_for |= exchange.awaited
        if is_alone and self._patience.is_bounded:
            exchange.awaited = {ANYBODY}
        elif was_alone:
            self._patience.ready()

    def _is_missing(self, sender: str, exchange: Exchange) -> bool:
        """May its model of this round still come?  Links are in order: what is overtaken is lost."""
        if self._lockstep.is_on and sender in self._lockstep.senders(exchange.neighbourhood):
            return self._buffer.get(sender, self._round) is None
        return self._buffer.latest(sender) < self._round

    def _merge(self, exchange: Exchange) -> list[Effect]:
        assert self._view is not None
        assert exchange.trained is not None
        arrived = {
            sender: model
            for sender in exchange.neighbourhood.receive_weights
            if sender in self._view.accepted and (model := self._buffer.get(sender, self._round)) is not None
        }
        check_senders(self._view, arrived)
        if arrived:
            self._join.is_in_touch()
        self._patience.leave_out(exchange.awaited)
        self._model = mixed(self._setup, exchange, arrived)
        missing = exchange.waited_for.difference(arrived)
        adopt = Adopt(self._model, self._round + 1, tuple(sorted(arrived)), tuple(sorted(missing)))
        self._round += 1
        self._lockstep.done(exchange.trained, self._round)
        if self._is_finished():
            return [adopt, Store(), *self._finish(exchange.trained, exchange.has_sent)]
        self._exchange = None
        return [adopt, Store(), *self._begin_round()]

    def _finish(self, last: Model, has_sent: set[str] | None = None) -> list[Effect]:
        """Stay, with the last round's model for neighbours that come late."""
        assert self._view is not None
        hood = self._view.neighbourhood(self._setup.rounds - 1)
        self._exchange = Exchange(hood, last, has_sent)
        self._buffer.keep_only(frozenset())
        return [Finish(f"{self._setup.rounds} rounds done")]
