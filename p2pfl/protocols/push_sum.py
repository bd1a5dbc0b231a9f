"""Push-sum with training (stochastic gradient push): the exact mean over one-way and lossy links.

A node holds a sum s and a weight w; its model is z = s / w.  A round is one training and ``mixing_rounds``
exchanges (steps).  Training starts from z, and the change is added to the sum: ``s += trained - z``, never
``s = w * trained``, which would weight each node's data by w.  In an exchange a node keeps an equal share of
(s, w) and pushes one to each linked receiver: 1 / (1 + receivers), known to the sender alone, so that every
column of the mixing matrix sums to 1, and with it the sum and the weight of all nodes are constant.  On a
strongly connected digraph every z tends to sum s / sum w, where plain averaging would favour some nodes.

Theory of operation.  Messages carry running totals per link, in float64, as ``push_sum_book`` explains: what
is lost, repeated, late or overtaken only delays mass.  A step ends when nobody is waited for any more: waited
for is a sender of the round that is linked, accepted, still a sender in the graph as it now is, and of which
neither the totals of this step nor anything later has arrived; a silent one at most ``round_timeout_s`` (0
or infinite: for ever).  Merged is what belongs to this step or an earlier one, in the order of the senders;
what is early waits (four steps per sender).  A merge takes mass from whomever this node accepts, neighbour or
not: mass that was pushed must not vanish.

Whoever gets totals of a step that it has left behind answers ``ahead`` with its own step, in words only.
Whoever becomes a linked neighbour while we wait, or after we have finished, is sent our totals.  A node whose
linked senders have all gone on without it skips to the earliest of their rounds.  Nothing is pushed to
whoever is not linked, nor below ``FLOOR`` times the starting weight, which a node that pushes but hears
nobody would halve until it is 0: any shares that sum to 1 will do.

Totals are stored before they are sent, so that a crash costs time only.  A receiver that starts afresh,
with its memory lost, answers with a new mark (kind ``mark``) and gets a new ledger; it takes along what its
former life held and what was in flight to it, as anybody who leaves does.  Whoever forges totals moves the
mean as it likes: push-sum is for nodes that trust each other.

References: Kempe, Dobra, Gehrke, "Gossip-based computation of aggregate information", FOCS 2003; Assran et
al., "Stochastic gradient push for distributed deep learning", ICML 2019.
"""

from collections.abc import Mapping
from math import isinf, isnan
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from p2pfl.errors import ConfigError, unknown_name
from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Finish,
    Message,
    Neighbourhood,
    PeersChanged,
    Received,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
    View,
)
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.merge_gate import check_senders
from p2pfl.protocols.paths import round_that_proves
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.push_sum_book import UNKNOWN, Book
from p2pfl.protocols.push_sum_inbox import KEPT_STEPS, Inbox
from p2pfl.protocols.push_sum_messages import (
    AHEAD,
    MARK,
    PUSH,
    age_of,
    ahead,
    answer,
    mark_of,
    push,
    step_of,
    totals_of,
)
from p2pfl.protocols.push_sum_store import restore, stored
from p2pfl.protocols.snapshots import whole_number

DEFAULT_ROUNDS = 40
MAX_ROUND = 2**32  # a greater number is nobody's round
JUMP = 2  # rounds that all senders must be ahead before a node skips what lies between
FLOOR = 1e-6  # share of the starting weight below which a node pushes nothing
WEIGHTINGS = ("uniform", "samples")


class PushSum:
    """Every node trains its ratio s / w, then pushes shares of s and w along its outgoing links."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType({PUSH: (1, "float64")})

    def __init__(
        self,
        setup: Setup,
        *,
        mixing_rounds: int = 2,
        weighting: str = "uniform",
        round_timeout_s: float = 30.0,
    ) -> None:
        _check(mixing_rounds, weighting, round_timeout_s)
        self._setup = setup
        self._mixing_rounds = mixing_rounds
        self._timeout_s = 0.0 if isinf(round_timeout_s) else round_timeout_s
        self._scale = float(setup.samples) if weighting == "samples" else 1.0
        self._age = setup.model.age
        self._step = 0  # the exchange under way, or before which this node trains; all of them when finished
        self._has_pushed = False  # in this step
        self._book = Book(setup.start, setup.model.params.astype(np.float64) * self._scale, self._scale)
        self._inbox = Inbox()
        self._view: View | None = None
        self._exchange: _Exchange | None = None  # None before Started

    @staticmethod
    def default_rounds(nodes: int) -> int:  # noqa: ARG004
        """The budget when none is given, whatever the number of nodes."""
        return DEFAULT_ROUNDS

    def handle(self, event: Event, now_s: float) -> list[Effect]:  # noqa: ARG002
        """React to one event; the time does not matter."""
        match event:
            case PeersChanged(view):
                return self._look_round(view)
            case Started():
                return self._begin()
            case Trained(model):
                return self._push_trained(model)
            case Received(sender, message):
                return self._hear(sender, message)
            case TimerFired(name) if name == self._timer:
                return self._advance(is_overdue=True)
            case _:
                return []

    def snapshot(self) -> Snapshot:
        """Step, sum, weight, and the totals of every link."""
        book = stored(self._book)
        place = {"step": self._step, "has_pushed": int(self._has_pushed), "age": self._age}
        return Snapshot({**place, **book.values}, book.arrays)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on in the stored step, with the stored totals."""
        self._step = whole_number(snapshot, "step")
        self._age = whole_number(snapshot, "age")
        self._has_pushed = bool(whole_number(snapshot, "has_pushed"))
        restore(self._book, snapshot)

    def mass(self) -> tuple[float, Mapping[str, float], Mapping[str, float]]:
        """The weight it holds; totals of weight pushed, per receiver, and had, per sender.

        What is held and what was pushed and not yet had sum to the same at all times.
        """
        return self._book.mass()

    @property
    def _round(self) -> int:
        return self._step // self._mixing_rounds

    @property
    def _timer(self) -> str:
        return f"push.{self._step}"

    def _is_finished(self) -> bool:
        return 0 < self._setup.rounds <= self._round

    def _model(self) -> Model:
        """z = s / w."""
        z = self._book.held / self._book.weight
        return Model(z.astype(np.float32), self._age, self._book.weight)

    def _look_round(self, view: View) -> list[Effect]:
        before, self._view = self._view, view
        self._inbox.keep_only(view.accepted)
        effects: list[Effect] = [Store()] if self._book.keep(view.members) else []
        if before is None or self._exchange is None or not self._is_sharing():
            return effects
        self._exchange.has_sent &= before.live & view.live  # a new link may belong to a restarted node
        return [*effects, *self._share(), *self._advance()]

    def _is_sharing(self) -> bool:
        return self._has_pushed or self._is_finished()

    def _begin(self) -> list[Effect]:
        """Begin, or go on from a snapshot."""
        if self._view is None or (self._exchange is not None and not self._is_finished()):
            return []
        if self._is_finished():
            return self._finish()
        if not self._has_pushed:
            return self._begin_round(self._view)
        self._exchange = _Exchange(self._view.neighbourhood(self._round))
        return [*self._share(), *self._wait(), *self._advance()]

    def _begin_round(self, view: View) -> list[Effect]:
        self._catch_up(view)
        self._exchange = _Exchange(view.neighbourhood(self._round))
        return [Train(self._model())]

    def _catch_up(self, view: View) -> None:
        """Skip to the earliest round of the senders if all of them have gone on without this node."""
        senders = [each for each in view.neighbourhood(self._round).receive_weights if each in view.live]
        latest = {
            sender: self._inbox.latest(sender) // self._mixing_rounds
            for sender in senders
            if sender in view.accepted
        }
        if not latest or min(latest.values()) < self._round + JUMP:
            return
        for sender, number in latest.items():
            proof = round_that_proves(view, sender, self._round)
            if number < (self._round + KEPT_STEPS if proof is None else proof):
                return  # in lockstep, only fast
        self._step = min(latest.values()) * self._mixing_rounds

    def _push_trained(self, model: Model) -> list[Effect]:
        if self._exchange is None or self._is_sharing():
            return []
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
        return [Store(), *self._share(), *self._wait()]

    def _wait(self) -> list[Effect]:
        return [SetTimer(self._timer, self._timeout_s)] if self._timeout_s and self._awaited() else []

    def _share(self) -> list[Effect]:
        """Send the totals to the linked neighbours that have not got those of this step.

        Also to those whom a change of the graph made neighbours meanwhile: they may wait for us already.
        """
        assert self._view is not None
        assert self._exchange is not None
        step = self._shared_step()
        neighbours = (
            *self._exchange.neighbourhood.send_to,
            *self._view.neighbourhood(step // self._mixing_rounds).send_to,
        )
        effects: list[Effect] = []
        for to in neighbours:
            if to in self._view.live and to not in self._exchange.has_sent:
                self._exchange.has_sent.add(to)
                message = push(self._place(step), self._book.to(to), age=self._age)
                effects.append(Send(to, message, replaces=f"{PUSH}.{step}"))
        return effects

    def _shared_step(self) -> int:
        """The step that neighbours hear of; the last one when this node has finished."""
        return self._step - 1 if self._is_finished() else self._step

    def _place(self, step: int) -> tuple[int, int]:
        return divmod(step, self._mixing_rounds)

    def _hear(self, sender: str, message: Message) -> list[Effect]:
        step = step_of(message, self._mixing_rounds)
        if self._view is None or step is None or message.round >= (self._setup.rounds or MAX_ROUND):
            return []
        is_accepted = sender in self._view.accepted
        if message.kind == PUSH and is_accepted:
            return self._hear_totals(sender, step, message)
        if message.kind == AHEAD and is_accepted and step >= self._step:
            self._inbox.note(sender, step - 1)  # its totals of this step may still come
            return self._advance()
        if message.kind == MARK:
            self._book.learn_mark(sender, mark_of(message))
        return []

    def _hear_totals(self, sender: str, step: int, message: Message) -> list[Effect]:
        totals = totals_of(message, self._book.held.size)
        if totals is None:
            return []
        effects = self._say_ahead(sender) if step < self._shared_step() else []
        if self._is_finished():
            return effects
        own, meant = self._book.mark_for(sender), mark_of(message)
        if meant != own:
            effects.append(Send(sender, answer(message, own), replaces=MARK))
        if meant in (own, UNKNOWN):
            self._inbox.add(sender, step, totals, age=age_of(message))
        else:
            self._inbox.note(sender, step)  # for a life of this node that is over
        return [*effects, *self._advance()]

    def _say_ahead(self, sender: str) -> list[Effect]:
        """Whoever shares an earlier step has lost our message of it, or never had one."""
        place = self._place(self._shared_step())
        if self._exchange is None or self._view is None:
            return []
        if sender not in self._view.neighbourhood(place[0]).send_to:
            return []
        return [Send(sender, ahead(place), replaces=AHEAD)]

    def _advance(self, *, is_overdue: bool = False) -> list[Effect]:
        """Merge, and go on, as long as nobody is waited for; once in any case if the step is overdue."""
        effects: list[Effect] = []
        while self._has_pushed and (is_overdue or not self._awaited()):
            is_overdue = False
            self._merge()
            effects += self._push() if self._step % self._mixing_rounds else self._end_round()
        return effects

    def _awaited(self) -> bool:
        """Is anybody waited for?  Remembers whom, so that the missing can be named."""
        assert self._view is not None
        assert self._exchange is not None
        present = self._view.live & self._view.accepted
        still_sending = self._view.neighbourhood(self._round).receive_weights
        awaited = {
            sender
            for sender in self._exchange.neighbourhood.receive_weights
            if sender in present and sender in still_sending and self._inbox.latest(sender) < self._step
        }
        self._exchange.waited_for |= awaited
        return bool(awaited)

    def _merge(self) -> None:
        """Add what has come in and begin the next step."""
        assert self._exchange is not None
        assert self._view is not None
        exchange = self._exchange
        for sender, totals, age in self._inbox.take_until(self._step):
            check_senders(self._view, [sender])
            if self._book.take(sender, totals):
                self._age = max(self._age, age)
                exchange.merged.add(sender)
        exchange.missing |= {each for each in exchange.waited_for if self._inbox.latest(each) < self._step}
        exchange.waited_for, exchange.has_sent = set(), set()
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
        self._exchange = _Exchange(hood, has_sent)
        self._inbox.keep_only(frozenset())
        return [Finish(f"{self._setup.rounds} rounds done"), *self._share()]


class _Exchange:
    """One round under way: its neighbourhood, and how far the exchange of the step has come."""

    __slots__ = ("has_sent", "merged", "missing", "neighbourhood", "waited_for")

    def __init__(self, neighbourhood: Neighbourhood, has_sent: set[str] | None = None) -> None:
        self.neighbourhood = neighbourhood
        self.has_sent = set() if has_sent is None else has_sent  # the totals of this step
        self.waited_for: set[str] = set()  # in this step
        self.merged: set[str] = set()  # in this round
        self.missing: set[str] = set()


def _check(mixing_rounds: object, weighting: str, round_timeout_s: float) -> None:
    if isinstance(mixing_rounds, bool) or not isinstance(mixing_rounds, int) or mixing_rounds < 1:
        raise ConfigError(
            f"mixing_rounds = {mixing_rounds!r} is no number of exchanges",
            where="[protocol] mixing_rounds",
            fix="1, 2, 3, …: exchanges after each training",
        )
    if weighting not in WEIGHTINGS:
        raise unknown_name("weighting", str(weighting), WEIGHTINGS, where="[protocol] weighting")
    if isnan(round_timeout_s) or round_timeout_s < 0:
        raise ConfigError(
            f"round_timeout_s = {round_timeout_s} is no waiting time",
            where="[protocol] round_timeout_s",
            fix="seconds above 0, or 0 to wait for ever",
        )
