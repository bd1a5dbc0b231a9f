"""Push-sum with training (stochastic gradient push): the exact mean over one-way and lossy links.

A node holds a sum s and a weight w; its model is z = s / w.  A round is one training and ``mixing_rounds``
exchanges (steps). Training starts from z, and the change is added to the sum: ``s += trained - z``, never ``s
= w * trained``, which would weight each node's data by w.  In an exchange a node keeps an equal share of (s,
w) and pushes one to each linked receiver: 1 / (1 + receivers), known to the sender alone, so that every
column of the mixing matrix sums to 1, and with it the sum and the weight of all nodes are constant.  On a
strongly connected digraph every z tends to sum s / sum w, where plain averaging would favour some nodes.

Theory of operation.  Messages carry running totals per link, in float64, as ``push_sum_book`` explains: what
is lost, repeated, late or overtaken only delays mass.  A step ends when nobody is waited for any more: waited
for is a sender of the round that is linked, accepted, still a sender in the graph as it now is, and of which
neither the totals of this step nor anything later has arrived; a silent one as long as its own recent
behaviour justifies (``patience``), at most ``round_timeout_s`` (0 or infinite: for ever). A node that has
senders, but a link to none of them, waits so long for one, once in each round.  Merged is what belongs to
this step or an earlier one, in the order of the senders; what is early waits (four steps per sender). A merge
takes mass from whomever this node accepts, neighbour or not: mass that was pushed must not vanish.

Whoever gets totals of a step that it has left behind answers ``ahead`` with its own step, in words only.
Whoever becomes a linked neighbour while we wait, or after we have finished, is sent our totals.  A node whose
linked senders have all gone on without it skips to the earliest of their rounds.  One without a history asks
one of them for its model instead (``late_join``) and moves its own sum there, ``s += w (z' - z)``: it brings
its weight along like any node that starts, at the value that the others have come to.  A node that has been
restored never does that, since what it holds is part of the mean.  Nothing is pushed to whoever is not
linked, nor below ``FLOOR`` times the starting weight, which a node that pushes but hears nobody would halve
until it is 0: any shares that sum to 1 will do.

Totals are stored before they are sent, so that a crash costs time only.  A receiver that starts afresh, with
its memory lost, answers with a new mark (kind ``mark``) and gets a new ledger; it takes along what its former
life held and what was on the way to it.  Whoever forges totals moves the mean as it likes: push-sum is for
nodes that trust each other.

References: Kempe, Dobra, Gehrke, "Gossip-based computation of aggregate information", FOCS 2003; Assran et
al., "Stochastic gradient push for distributed deep learning", ICML 2019.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np

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
from p2pfl.model import Model
from p2pfl.protocols.late_join import (
    CURRENT_KIND,
    JOIN_KIND,
    JOIN_TIMER,
    MAX_ROUND,
    Standing,
    standing,
)
from p2pfl.protocols.merge_gate import check_senders
from p2pfl.protocols.patience import ANYBODY, DEVIATIONS, ROUND_TIMEOUT_S, WAITING_KIND
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.push_sum_book import UNKNOWN
from p2pfl.protocols.push_sum_exchange import Exchange
from p2pfl.protocols.push_sum_messages import (
    AHEAD,
    MARK,
    PUSH,
    age_of,
    answer,
    mark_of,
    step_of,
    totals_of,
)
from p2pfl.protocols.push_sum_options import Options
from p2pfl.protocols.push_sum_state import PushSumState

DEFAULT_ROUNDS = 40
FLOOR = 1e-6  # share of the starting weight below which a node pushes nothing


class PushSum(PushSumState):
    """Every node trains its ratio s / w, then pushes shares of s and w along its outgoing links."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType(
        {PUSH: (1, "float64"), CURRENT_KIND: (1, "float32")}
    )

    def __init__(
        self,
        setup: Setup,
        *,
        mixing_rounds: int = 2,
        weighting: str = "uniform",
        round_timeout_s: float = ROUND_TIMEOUT_S,
        patience_deviations: float = DEVIATIONS,
    ) -> None:
        super().__init__(setup, Options(mixing_rounds, weighting, round_timeout_s, patience_deviations))

    @staticmethod
    def default_rounds(nodes: int) -> int:  # noqa: ARG004
        """The budget when none is given, whatever the number of nodes."""
        return DEFAULT_ROUNDS

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        """React to one event; the time tells who is late."""
        self._patience.at(now_s)
        match event:
            case PeersChanged(view):
                return self._look_round(view)
            case Started():
                return self._begin()
            case Trained(model):
                return self._push_trained(model)
            case Received(sender, message):
                return self._hear(sender, message)
            case TimerFired(name):
                return self._wait_no_longer(name)

    def _look_round(self, view: View) -> list[Effect]:
        before, self._view = self._view, view
        self._inbox.keep_only(view.accepted)
        self._patience.keep_only(view.accepted)
        effects: list[Effect] = [Store()] if self._book.keep(view.members) else []
        if before is None:
            return effects
        self._patience.meet(view.live - before.live)
        self._join.keep_only(before.live & view.live)
        if self._join.asked and self._join.asked not in view.live:
            return [*effects, *self._ask_next()]
        if self._exchange is None or not self._is_sharing():
            return effects
        self._exchange.has_sent &= before.live & view.live  # a new link may belong to a restarted node
        return [*effects, *self._share(), *self._advance()]

    def _begin(self) -> list[Effect]:
        """Begin, or go on from a snapshot."""
        if self._view is None or (self._exchange is not None and not self._is_finished()):
            return []
        if self._is_finished():
            return self._finish()
        if not self._has_pushed:
            return self._begin_round(self._view)
        self._exchange = Exchange(self._view.neighbourhood(self._round))
        self._patience.begin(self._step)
        return [*self._share(), *self._advance()]

    def _begin_round(self, view: View) -> list[Effect]:
        where = self._standing(view)
        asking = self._join.ask_if_late(where, self._inbox.has_totals)
        if asking:
            self._exchange = None
            return asking
        if where.onward is not None:
            self._step = where.onward * self._mixing_rounds
        self._exchange = Exchange(view.neighbourhood(self._round))
        self._patience.begin(self._step)
        return [Train(self._model())]

    def _standing(self, view: View) -> Standing:
        return standing(view, self._round, lambda sender: self._inbox.latest(sender) // self._mixing_rounds)

    def _ask_next(self) -> list[Effect]:
        """No answer has come: ask somebody else, or go on with what is here."""
        assert self._view is not None
        asking = self._join.ask(self._standing(self._view), self._inbox.has_totals)
        return asking or (self._begin_round(self._view) if self._exchange is None else self._advance())

    def _take_current(self, sender: str, message: Message) -> list[Effect]:
        """The model and the round of the peer that was asked: the sum moves there, the weight stays."""
        own = self._model()
        model = self._join.taken(sender, message, round=self._round, own=own)
        if model is None or self._view is None:
            return []
        self._book.add(own.weight * (model.params.astype(np.float64) - own.params))
        self._age, self._step, self._has_pushed = model.age, message.round * self._mixing_rounds, False
        adopted: list[Effect] = [Adopt(self._model(), self._round, (sender,)), Store()]
        if self._is_finished():
            return [*adopted, *self._finish()]
        if self._exchange is not None and self._exchange.is_training:
            self._exchange.is_void = True
            return adopted
        return [*adopted, *self._begin_round(self._view)]

    def _push_trained(self, model: Model) -> list[Effect]:
        if self._view is None or self._exchange is None or self._is_sharing():
            return []
        self._exchange.is_training = False
        if self._exchange.is_void:
            return self._begin_round(self._view)
        change = model.params.astype(np.float64) - self._model().params
        self._book.add(self._scale * change)
        self._age = model.age
        return [*self._push(), *self._advance()]

    def _push(self) -> list[Effect]:
        """Keep one share, add one to the totals of each receiver, and send them."""
        assert self._view is not None
        assert self._exchange is not None
        linked = [to for to in self._exchange.neighbourhood.send_to if to in self._view.live]
        may_push = self._book.weight >= FLOOR * self._scale
        self._book.push(self._book.open_to(linked) if may_push else [])
        self._has_pushed = True
        if self._step % self._mixing_rounds:
            self._patience.begin(self._step)
        self._patience.ready()
        return [Store(), *self._share()]

    def _hear(self, sender: str, message: Message) -> list[Effect]:
        if self._view is None:
            return []
        is_accepted = sender in self._view.accepted
        if message.kind == CURRENT_KIND:
            return self._take_current(sender, message) if is_accepted else []
        step = step_of(message, self._mixing_rounds)
        # Who has finished is ahead by being in no round.
        last = (self._setup.rounds or MAX_ROUND) - (message.kind != AHEAD)
        if step is None or message.round > last:
            return []
        if is_accepted and message.kind in (PUSH, AHEAD, WAITING_KIND):
            return self._hear_step(sender, step, message)
        if message.kind == JOIN_KIND:
            return self._answer(sender, message)
        if message.kind == MARK:
            self._book.learn_mark(sender, mark_of(message))
        return []

    def _hear_step(self, sender: str, step: int, message: Message) -> list[Effect]:
        assert self._view is not None
        if message.kind == PUSH:
            return self._hear_totals(sender, step, message)
        if message.kind == WAITING_KIND:
            return self._note_waiting(sender, step, self._view)
        if step < self._step:
            return []
        self._inbox.note(sender, step - 1)  # its totals of this step may still come
        self._patience.hear(sender, step - 1)
        return self._heard(self._view)

    def _heard(self, view: View) -> list[Effect]:
        """A sender has come further: is this node late, or may it go on?"""
        is_begun = self._join.is_new and self._exchange is not None
        asking = self._join.ask_if_late(self._standing(view), self._inbox.has_totals) if is_begun else []
        return asking or self._advance()

    def _hear_totals(self, sender: str, step: int, message: Message) -> list[Effect]:
        totals = totals_of(message, self._book.held.size)
        if totals is None:
            return []
        effects = self._say_ahead(sender) if step < self._shared_step() else []
        self._patience.hear(sender, step)
        if step < self._shared_step():
            self._patience.late[sender] += 1
        if self._is_finished():
            return effects
        own, meant = self._book.mark_for(sender), mark_of(message)
        if meant != own:
            effects.append(Send(sender, answer(message, own), replaces=MARK))
        if meant in (own, UNKNOWN):
            self._inbox.add(sender, step, totals, age=age_of(message))
        else:
            self._inbox.note(sender, step)  # for a life of this node that is over
        assert self._view is not None
        return [*effects, *self._heard(self._view)]

    def _note_waiting(self, sender: str, step: int, view: View) -> list[Effect]:
        """A sender has shared its totals of a step, and waits: perhaps for this node."""
        shared = self._shared_step()
        self._patience.hear(sender, step)
        if step < shared:
            return [*self._say_ahead(sender), *self._advance()]
        if not self._is_finished():
            self._inbox.note(sender, step)  # if its totals have not come, they are lost
            return self._heard(view)
        return self._say_ahead(sender) if step == shared else []

    def _wait_no_longer(self, timer: str) -> list[Effect]:
        if timer == JOIN_TIMER and self._join.asked:
            return self._ask_next()
        if timer != self._timer:
            return []
        words = self._say_waiting() if self._patience.fired() else []
        onward = self._advance()
        return onward if timer != self._timer else [*words, *onward]  # it has gone on, or waits

    def _advance(self) -> list[Effect]:
        """Merge, and go on, as long as nobody is waited for; then see to it that the wait ends."""
        effects: list[Effect] = []
        while self._has_pushed and not self._join.asked:
            awaited = self._awaited()
            timer = self._patience.wait(self._timer, awaited)
            if timer is not None:
                return [*effects, *timer]
            self._patience.leave_out(awaited)
            self._merge()
            effects += self._push() if self._step % self._mixing_rounds else self._end_round()
        return effects

    def _awaited(self) -> set[str]:
        """Who is waited for?  Remembers it, so that the missing can be named."""
        assert self._view is not None
        assert self._exchange is not None
        is_first = self._step % self._mixing_rounds == 0
        awaited, was_alone = self._exchange.look(self._view, self._round, may_be_alone=is_first)
        if was_alone:
            self._patience.ready()
        if self._exchange.is_alone and self._patience.is_bounded:
            return {ANYBODY}
        awaited = {sender for sender in awaited if self._inbox.latest(sender) < self._step}
        self._exchange.waited_for |= awaited
        return awaited

    def _merge(self) -> None:
        """Add what has come in and begin the next step."""
        assert self._exchange is not None
        assert self._view is not None
        exchange = self._exchange
        for sender, totals, age in self._inbox.take_until(self._step):
            check_senders(self._view, [sender])
            if self._book.take(sender, totals):
                self._age = max(self._age, age)
                self._join.is_in_touch()
                exchange.merged.add(sender)
        exchange.end_step({each for each in exchange.waited_for if self._inbox.latest(each) < self._step})
        self._step += 1
        self._has_pushed = False

    def _end_round(self) -> list[Effect]:
        assert self._view is not None
        assert self._exchange is not None
        merged, missing = sorted(self._exchange.merged), sorted(self._exchange.missing)
        adopt = Adopt(self._model(), self._round, tuple(merged), tuple(missing))
        following = self._finish() if self._is_finished() else self._begin_round(self._view)
        return [adopt, Store(), *following]

    def _finish(self) -> list[Effect]:
        """Stay, with the last totals for neighbours that come late."""
        assert self._view is not None
        hood = self._view.neighbourhood(self._setup.rounds - 1)
        has_sent = set(self._view.live) if self._exchange is not None else set()
        self._exchange = Exchange(hood, has_sent)
        self._inbox.keep_only(frozenset())
        return [Finish(f"{self._setup.rounds} rounds done"), *self._share()]
