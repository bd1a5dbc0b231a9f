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
up, since nobody would come back for it.  Finished nodes offer the model, in a message without one, to
neighbours whose links come up later and to whoever still passes an older token; who has missed the end asks
for it, and offers it on.  A token that is still to be trained and meets a finished
node turns into another final lap.
*Restarts.*  Token and phase are stored before the ack and before it is passed on: a restarted holder trains
on, or passes on again, and nothing counts twice.  A token that dies with its holder is not minted anew.

Forged keys cannot be told from true ones: a member that lies can end or fork the run.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import isfinite
from typing import Protocol

from p2pfl.errors import ConfigError
from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Finish,
    Message,
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
from p2pfl.protocols.final_lap import begin_final_lap, next_in_final_lap
from p2pfl.protocols.paths import way_to
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.token import FINAL_KIND, KIND, OFFER_KIND, REQUEST_KIND, Token, token_of
from p2pfl.protocols.token_snapshot import History, restored, stored

HOPS_PER_NODE = 20
TRIES = 3
ACK_TIMEOUT_S = 10.0


class Route(Protocol):
    """Decides where a token goes: the one thing in which the passing protocols differ."""

    def following(self, view: View, token: Token) -> Token:
        """The token on its way to the place after this node, which holds it."""
        ...

    def instead(self, view: View, token: Token) -> Token:
        """The token on its way to another place, since its own cannot be reached."""
        ...


@dataclass(slots=True)
class Handover:
    """A token that is waiting for its acknowledgement; ``to`` is empty while nobody can be reached."""

    to: str
    tries: int = 0


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
        self._route = route
        self._ack_timeout_s = ack_timeout_s
        self._view: View | None = None
        self._is_started = False
        self._model = setup.model
        self._history = History()
        self._held: Token | None = None  # to be trained if its place is this node, else to be passed on
        self._handover: Handover | None = None
        self._training: Token | None = None  # what the outstanding Train was given

    def handle(self, event: Event) -> list[Effect]:
        """React to one event."""
        match event:
            case PeersChanged(view):
                return self._look_round(view)
            case Started():
                return self._begin()
            case Received(sender, message):
                return self._hear(sender, message)
            case Trained(model):
                return self._trained(model)
            case TimerFired(name):
                return self._wait_no_longer(name)

    def snapshot(self) -> Snapshot:
        """The node's model, the token it holds, and which tokens it has seen."""
        return stored(self._model, self._held, self._history)

    def restore(self, snapshot: Snapshot) -> None:
        """Take the token up where it was stored."""
        self._model, self._held, self._history = restored(snapshot)

    def _look_round(self, view: View) -> list[Effect]:
        before, self._view = self._view, view
        if before is None or not self._is_started:
            return []
        onward = self._advance() if self._is_astray(view) else []
        return [*onward, *self._offer_final(view.live - before.live)]

    def _is_astray(self, view: View) -> bool:
        """Must the token that is being passed on take another way than it has taken?"""
        if self._held is None or self._handover is None:
            return False
        if self._held.place not in view.members:
            return True
        to = self._handover.to
        return to not in view.live if to else way_to(view, self._held) is not None

    def _begin(self) -> list[Effect]:
        if self._is_started or self._view is None:
            return []
        self._is_started = True
        if self._history.is_finished:
            onward = self._advance() if self._held is not None else []
            return [*onward, *self._offer_final(self._view.live), self._finish()]
        if self._history.rank is None and self._view.members[0] == self._setup.me:
            self._held = Token(0, 0, 0, place=self._setup.me, hop=0, model=self._model)
        return self._advance() if self._held is not None else []

    def _hear(self, sender: str, message: Message) -> list[Effect]:
        match message.kind:
            case "token":
                return self._receive(sender, message)
            case "token_ack":
                return self._let_go(sender, message)
            case "final_model":
                return self._receive_final(sender, message)
            case "final_offer":
                return self._answer_offer(sender, message)
            case "final_request":
                return self._answer_request(sender)
            case _:
                return []

    def _receive(self, sender: str, message: Message) -> list[Effect]:
        token = token_of(message, sender)
        if token is None or self._view is None or not self._is_welcome(token):
            return []
        rank = token.rank(self._setup.me)
        acknowledge = Send(sender, token.acknowledgement())
        if self._history.rank is not None and rank <= self._history.rank:
            return [acknowledge, *([] if token.last else self._offer_final({sender}))]
        self._history = replace(self._history, rank=rank)
        self._held = token if token.place == self._setup.me else replace(token, relays=token.relays + 1)
        return self._advance(acknowledge)

    def _is_welcome(self, token: Token) -> bool:
        assert self._view is not None
        if token.sender not in self._view.accepted or token.model.params.shape != self._model.params.shape:
            return False
        rounds = self._setup.rounds
        return token.hop == rounds > 0 if token.last else rounds == 0 or token.hop < rounds

    def _trained(self, model: Model) -> list[Effect]:
        token, self._training = self._training, None
        if token is None:
            return []
        if token is not self._held:  # a newer one has come meanwhile
            return self._train()
        self._history = replace(self._history, visited=(token.mint, token.lap))
        if self._history.is_finished:
            return self._advance()
        self._model = model
        merged = (token.sender,) if token.sender else ()
        self._held = replace(token, model=model, hop=token.hop + 1, sender="", failed=frozenset())
        return [Adopt(model, token.hop + 1, merged), *self._advance()]

    def _advance(self, *acknowledge: Effect, is_patient: bool = True) -> list[Effect]:
        """Move the held token as far as it can go: to this node's training, to a handover, or off."""
        if not self._is_started:
            return [Store(), *acknowledge]
        was_finished = self._history.is_finished
        adopted = self._settle(is_patient=is_patient)
        finish = [self._finish()] if self._history.is_finished and not was_finished else []
        return [*adopted, Store(), *acknowledge, *self._train(), *self._hand_over(), *finish]

    def _settle(self, *, is_patient: bool) -> list[Effect]:
        adopted: list[Effect] = []
        self._handover = None
        assert self._view is not None
        while (token := self._held) is not None:
            if self._is_at_its_end(token):
                self._turn_final(token)
            elif token.place == self._setup.me:
                if self._is_to_be_trained(token):
                    break
                adopted += self._visit_untrained(token, self._view)
            elif (to := way_to(self._view, token)) is not None:
                self._handover = Handover(to)
                break
            elif self._is_alone(token) and (is_patient or token.last):
                self._handover = Handover("")
                break
            else:
                self._held = self._instead(token, self._view)
        return adopted

    def _is_at_its_end(self, token: Token) -> bool:
        is_last_hop = 0 < self._setup.rounds <= token.hop
        return not token.last and (is_last_hop or self._history.is_finished)

    def _turn_final(self, token: Token) -> None:
        """Begin the lap without training; this node is its first place and has the final model."""
        assert self._view is not None
        hop, me = self._setup.rounds, self._setup.me
        final = replace(begin_final_lap(token, me), model=self._model, hop=hop, sender="")
        self._history = replace(self._history, rank=final.rank(me), is_finished=True)
        self._held = next_in_final_lap(self._view, final)

    def _is_to_be_trained(self, token: Token) -> bool:
        return not token.last and self._history.visited != (token.mint, token.lap)

    def _visit_untrained(self, token: Token, view: View) -> list[Effect]:
        """Pass on a token that needs no training here: the final one, or one of a lap that has been here."""
        if not token.last:
            self._held = self._route.following(view, token)
            return []
        self._held = next_in_final_lap(view, token)
        self._model = token.model
        self._history = replace(self._history, is_finished=True)
        return [Adopt(token.model, token.hop, (token.sender,) if token.sender else ())]

    def _is_alone(self, token: Token) -> bool:
        """Is no neighbour linked, though there are other members?"""
        assert self._view is not None
        neighbours = self._view.neighbourhood(token.hop).send_to
        return len(self._view.members) > 1 and self._view.live.isdisjoint(neighbours)

    def _instead(self, token: Token, view: View) -> Token | None:
        return next_in_final_lap(view, token) if token.last else self._route.instead(view, token)

    def _train(self) -> list[Effect]:
        token = self._held
        if token is None or token.place != self._setup.me or self._training is not None:
            return []
        self._training = token
        # Before it is trained nothing older may pass, wherever the token came from: also from here.
        self._history = replace(self._history, rank=token.rank(self._setup.me))
        return [Train(token.model)]

    def _hand_over(self) -> list[Effect]:
        if self._held is None or self._handover is None:
            return []
        timer = _timer(self._held)
        if not self._handover.to:
            return [SetTimer(timer, self._ack_timeout_s)]
        delay_s = self._ack_timeout_s * 2 ** min(self._handover.tries, TRIES)
        self._handover.tries += 1
        send = Send(self._handover.to, self._held.message(), replaces=KIND)
        return [send, SetTimer(timer, delay_s)]

    def _wait_no_longer(self, timer: str) -> list[Effect]:
        """No acknowledgement has come: try again, or give the place up."""
        token, handover = self._held, self._handover
        if token is None or handover is None or self._view is None or timer != _timer(token):
            return []
        if not handover.to:
            return self._advance(is_patient=False)
        way = way_to(self._view, token)
        if way is not None and (handover.tries < TRIES or token.last):
            handover.to = way
            return self._hand_over()
        self._held = self._instead(token, self._view)
        return self._advance()

    def _let_go(self, sender: str, acknowledgement: Message) -> list[Effect]:
        is_ours = self._handover is not None and self._handover.to == sender
        if is_ours and self._held is not None and self._held.is_acknowledged_by(acknowledgement):
            self._held = self._handover = None
        return []

    def _offer_final(self, members: Collection[str]) -> list[Effect]:
        """Tell neighbours that may have missed the end that this node has the final model."""
        if self._view is None or not self._history.is_finished:
            return []
        busy = "" if self._handover is None else self._handover.to
        neighbours = self._view.neighbourhood(self._setup.rounds).send_to
        owed = [to for to in neighbours if to in members and to in self._view.live and to != busy]
        return [Send(to, Message(OFFER_KIND, self._setup.rounds)) for to in owed]

    def _answer_offer(self, sender: str, offer: Message) -> list[Effect]:
        if self._history.is_finished or not self._is_from_the_end(sender, offer):
            return []
        return [Send(sender, Message(REQUEST_KIND, offer.round))]

    def _answer_request(self, sender: str) -> list[Effect]:
        if self._view is None or not self._history.is_finished:
            return []
        if sender not in self._view.neighbourhood(self._setup.rounds).send_to:
            return []
        return [Send(sender, Message(FINAL_KIND, self._setup.rounds, self._model), replaces=FINAL_KIND)]

    def _is_from_the_end(self, sender: str, message: Message) -> bool:
        is_accepted = self._is_started and self._view is not None and sender in self._view.accepted
        return is_accepted and message.round == self._setup.rounds > 0

    def _receive_final(self, sender: str, message: Message) -> list[Effect]:
        model = message.model
        if self._history.is_finished or model is None or not self._is_from_the_end(sender, message):
            return []
        if model.params.shape != self._model.params.shape:
            return []
        self._model = model
        self._history = replace(self._history, is_finished=True)
        # A token held here is at its end too; the rank stays, since the final lap may still be coming.
        onward = self._advance() if self._held is not None else [Store()]
        offers = self._offer_final(self._view.live - {sender} if self._view else ())
        return [Adopt(model, message.round, (sender,)), *onward, *offers, self._finish()]

    def _finish(self) -> Finish:
        return Finish(f"{self._setup.rounds} hops done")


def _timer(token: Token) -> str:
    return f"token.{token.mint}.{token.lap}.{token.position}.{token.relays}"
