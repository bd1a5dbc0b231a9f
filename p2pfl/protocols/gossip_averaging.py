"""Gossip averaging in synchronous rounds: train, share with the neighbours, average what they share.

Theory of operation (adapt-then-combine, ``X+ = W train(X)``).  In round r a node trains, sends the trained
model to its neighbours with the number r, waits for theirs, and adopts the weighted mean, summed in the
order of the sender ids, its own at its place.  The neighbourhood and its weights are those of the view at
the beginning of the round.  Messages carry their round: early ones are kept (four rounds per sender), late,
repeated and foreign ones change nothing.

A round ends when nobody is waited for any more.  Waited for is a sender of this round that is linked,
accepted, still a sender in the graph as it now is, and of which neither the model of this round nor
anything later has arrived; links are in order, so what is overtaken is lost.  A linked, silent sender is
waited for at most ``round_timeout_s`` (0 or infinite: for ever, as deterministic runs want it).  The weight
of whoever is missing returns to the node itself: rows keep summing to 1, the mean moves a little.

A lost message thus costs its receiver at most the timeout, a dead neighbour nothing once its link is down.
Whoever gets a model of a round that it has left behind answers ``ahead`` with its own round, in words only,
so that a node that has lost touch, or meets one that has finished, does not wait for what will never come.
Whoever becomes a linked neighbour while we wait, or after we have finished, is sent our model of the round,
so that a restarted node learns at once where the others are.  When all its linked senders are at least two
rounds ahead, and cannot be so in lockstep, a node goes on in the earliest of their rounds.  (On an
undirected graph a neighbour is never more than one round ahead in lockstep; on a digraph a sender may be as
far ahead as our own message needs to reach it.)

A crash loses at most the round that was under way: round and model are stored before the next one begins.
"""

from collections.abc import Mapping
from math import isinf, isnan
from types import MappingProxyType
from typing import ClassVar

from p2pfl.errors import ConfigError
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
from p2pfl.protocols.round_buffer import KEPT_ROUNDS, RoundBuffer
from p2pfl.protocols.snapshots import model_values, restored_model, whole_number

DEFAULT_ROUNDS = 40
MAX_ROUND = 2**32  # a greater number is nobody's round
JUMP = 2  # rounds that all senders must be ahead before a node skips what lies between
MODEL = "model"
AHEAD = "ahead"  # words only: "I am in this round, what you wait for will not come"


class GossipAveraging:
    """Every node trains, then averages with its neighbours, round by round."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType({MODEL: (1, "float32")})

    def __init__(self, setup: Setup, *, round_timeout_s: float = 30.0) -> None:
        if isnan(round_timeout_s) or round_timeout_s < 0:
            raise ConfigError(
                f"round_timeout_s = {round_timeout_s} is no waiting time",
                where="[protocol] round_timeout_s",
                fix="seconds above 0, or 0 to wait for ever",
            )
        self._setup = setup
        self._timeout_s = 0.0 if isinf(round_timeout_s) else round_timeout_s
        self._view: View | None = None
        self._round = 0  # the round under way; rounds when finished
        self._model = setup.model
        self._buffer = RoundBuffer()
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
                return self._begin_round()
            case Trained(model):
                return self._share_trained(model)
            case Received(sender, message):
                return self._hear(sender, message)
            case TimerFired(name) if name == self._timer:
                return self._merge()
            case _:
                return []

    def snapshot(self) -> Snapshot:
        """The round to begin with, and the model to begin it with."""
        return Snapshot({"round": self._round, **model_values(self._model)}, {MODEL: self._model.params})

    def restore(self, snapshot: Snapshot) -> None:
        """Go on at the round after the last stored one."""
        self._round = whole_number(snapshot, "round")
        self._model = restored_model(snapshot, MODEL)

    def _is_finished(self) -> bool:
        return 0 < self._setup.rounds <= self._round

    @property
    def _timer(self) -> str:
        return f"gossip.round.{self._round}"

    def _look_round(self, view: View) -> list[Effect]:
        before, self._view = self._view, view
        self._buffer.keep_only(view.accepted)
        if before is None or self._exchange is None or self._exchange.trained is None:
            return []
        self._exchange.has_sent &= before.live & view.live  # a new link may belong to a restarted node
        return [*self._share(), *self._merge_if_complete()]

    def _begin_round(self) -> list[Effect]:
        if self._view is None or (self._exchange is not None and not self._is_finished()):
            return []
        if self._is_finished():
            return [*self._finish(self._model), *self._share()]
        self._catch_up(self._view)
        self._buffer.forget_before(self._round)
        self._exchange = _Exchange(self._view.neighbourhood(self._round))
        return [Train(self._model)]

    def _catch_up(self, view: View) -> None:
        """Skip to the earliest round of the senders if all of them have gone on without this node."""
        senders = [each for each in view.neighbourhood(self._round).receive_weights if each in view.live]
        latest = {sender: self._buffer.latest(sender) for sender in senders if sender in view.accepted}
        if not latest or min(latest.values()) < self._round + JUMP:
            return
        for sender, number in latest.items():
            proof = round_that_proves(view, sender, self._round)
            if number < (self._round + KEPT_ROUNDS if proof is None else proof):
                return  # in lockstep, only fast
        self._round = min(latest.values())

    def _share_trained(self, model: Model) -> list[Effect]:
        if self._exchange is None or self._exchange.trained is not None:
            return []
        self._exchange.trained = model
        effects = self._share()
        if not self._awaited():
            return [*effects, *self._merge()]
        return [*effects, SetTimer(self._timer, self._timeout_s)] if self._timeout_s else effects

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
            case _:
                return []

    def _keep(self, sender: str, round: int, model: Model) -> list[Effect]:
        if round < self._shared_round():
            return self._say_ahead(sender)
        if not self._is_expected(sender, round) or model.params.shape != self._model.params.shape:
            return []
        self._buffer.add(sender, round, model)
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
        return [Send(sender, Message(AHEAD, shared), replaces=AHEAD)]

    def _note_ahead(self, sender: str, round: int) -> list[Effect]:
        if not self._is_expected(sender, round):
            return []
        self._buffer.note(sender, round - 1)  # its model of this round may still come
        return self._settle(sender)

    def _shared_round(self) -> int:
        """The round of the model that neighbours get from this node; the last one when it has finished."""
        return min(self._round, self._setup.rounds - 1) if self._is_finished() else self._round

    def _settle(self, sender: str) -> list[Effect]:
        """A sender has come further: merge if it was the last one that is waited for."""
        exchange = self._exchange
        if exchange is None or exchange.trained is None or self._is_finished():
            return []
        if self._buffer.latest(sender) >= self._round:
            exchange.awaited.discard(sender)
        return [] if exchange.awaited else self._merge()

    def _merge_if_complete(self) -> list[Effect]:
        is_waiting = self._exchange is not None and self._exchange.trained is not None
        if not is_waiting or self._is_finished() or self._awaited():
            return []
        return self._merge()

    def _awaited(self) -> bool:
        """Is anybody waited for?  Remembers whom, so that the missing can be named."""
        assert self._view is not None
        assert self._exchange is not None
        present = self._view.live & self._view.accepted
        still_sending = self._view.neighbourhood(self._round).receive_weights
        self._exchange.awaited = {
            sender
            for sender in self._exchange.neighbourhood.receive_weights
            if sender in present and sender in still_sending and self._buffer.latest(sender) < self._round
        }
        self._exchange.waited_for |= self._exchange.awaited
        return bool(self._exchange.awaited)

    def _merge(self) -> list[Effect]:
        exchange = self._exchange
        if self._view is None or exchange is None or exchange.trained is None or self._is_finished():
            return []
        arrived = {
            sender: model
            for sender in exchange.neighbourhood.receive_weights
            if sender in self._view.accepted and (model := self._buffer.get(sender, self._round)) is not None
        }
        check_senders(self._view, arrived)
        self._model = self._mean(exchange.neighbourhood, exchange.trained, arrived)
        missing = exchange.waited_for.difference(arrived)
        adopt = Adopt(self._model, self._round + 1, tuple(sorted(arrived)), tuple(sorted(missing)))
        self._round += 1
        if self._is_finished():
            return [adopt, Store(), *self._finish(exchange.trained, exchange.has_sent)]
        self._exchange = None
        return [adopt, Store(), *self._begin_round()]

    def _mean(self, hood: Neighbourhood, own: Model, arrived: Mapping[str, Model]) -> Model:
        if not arrived:
            return own
        weights = {sender: hood.receive_weights[sender] for sender in arrived}
        absent = [weight for sender, weight in sorted(hood.receive_weights.items()) if sender not in arrived]
        weights[self._setup.me] = hood.self_weight + sum(absent)
        models = {**arrived, self._setup.me: own}
        order = sorted(models)
        params = self._setup.aggregate(
            [models[each].params for each in order], [weights[each] for each in order]
        )
        return Model(params, max(model.age for model in models.values()), own.weight)

    def _finish(self, last: Model, has_sent: set[str] | None = None) -> list[Effect]:
        """Stay, with the last round's model for neighbours that come late."""
        assert self._view is not None
        hood = self._view.neighbourhood(self._setup.rounds - 1)
        self._exchange = _Exchange(hood, last, has_sent)
        self._buffer.keep_only(frozenset())
        return [Finish(f"{self._setup.rounds} rounds done")]


class _Exchange:
    """One round under way: its neighbourhood, and how far the exchange has come."""

    __slots__ = ("awaited", "has_sent", "neighbourhood", "trained", "waited_for")

    def __init__(
        self, neighbourhood: Neighbourhood, trained: Model | None = None, has_sent: set[str] | None = None
    ) -> None:
        self.neighbourhood = neighbourhood
        self.trained = trained  # None while training
        self.has_sent = set() if has_sent is None else has_sent
        self.awaited: set[str] = set()  # now
        self.waited_for: set[str] = set()  # at some time
