"""A member that a token comes to: it stores and acknowledges it, trains it, and hands it on.

What is promised when a message is lost, repeated or late, and how a run ends, stands in ``token_pass``.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from p2pfl.events import Adopt, Effect, Message, Send, SetTimer, Store, Train, View
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.final_lap import begin_final_lap, next_in_final_lap
from p2pfl.protocols.merge_gate import check_senders
from p2pfl.protocols.paths import way_to
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.token import KIND, Token, token_of
from p2pfl.protocols.token_snapshot import History, restored, stored

TRIES = 3


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


class TokenHolder:
    """The half of one node that moves tokens; ``TokenPass`` adds what tokens that were lost ask for."""

    def __init__(self, setup: Setup, route: Route, *, ack_timeout_s: float) -> None:
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

    @property
    def history(self) -> History:
        """Which tokens it has seen, and whether the run is over."""
        return self._history

    @property
    def model(self) -> Model:
        """The model that it adopted last."""
        return self._model

    @property
    def is_holding(self) -> bool:
        """Is there a token here, to be trained or to be passed on?"""
        return self._held is not None

    @property
    def busy_with(self) -> str:
        """To whom a token is being handed over; empty when to nobody."""
        return "" if self._handover is None else self._handover.to

    def snapshot(self) -> Snapshot:
        """The node's model, the token it holds, and which tokens it has seen."""
        return stored(self._model, self._held, self._history)

    def restore(self, snapshot: Snapshot) -> None:
        """Take the token up where it was stored."""
        self._model, self._held, self._history = restored(snapshot)

    def look_round(self, view: View) -> list[Effect]:
        """Others are reachable now: a token on its way may have to take another one."""
        self._view = view
        dropped = self._drop_revoked(view)
        return dropped or (self._advance() if self._is_started and self._is_astray(view) else [])

    def _drop_revoked(self, view: View) -> list[Effect]:
        """A token from somebody who is no longer trusted is neither trained nor passed on: it is lost."""
        if self._held is None or self._held.sender not in view.refused:
            return []
        self._held = self._handover = None
        return [Store()] if self._is_started else []

    def _is_astray(self, view: View) -> bool:
        """Must the token that is being passed on take another way than it has taken?"""
        if self._held is None or self._handover is None:
            return False
        if self._held.place not in view.members:
            return True
        to = self._handover.to
        return to not in view.live if to else way_to(view, self._held) is not None

    def begin(self) -> list[Effect]:
        """The node starts: the first member mints the token when it has no history."""
        assert self._view is not None
        self._is_started = True
        is_first = self._view.members[0] == self._setup.me
        if self._history.rank is None and not self._history.is_finished and is_first:
            self._held = Token(0, 0, 0, place=self._setup.me, hop=0, model=self._model)
        return self._advance() if self._held is not None else []

    def mint(self, number: int) -> list[Effect]:
        """Make a token in place of one that is lost, from the model that is here."""
        assert self._view is not None
        _, lap, position, _ = self._history.rank or (0, 0, 0, 0)
        me, hop = self._setup.me, self._history.hop
        token = Token(number, lap, position, place=me, hop=hop, model=self._model)
        self._history = replace(self._history, rank=token.rank(me))
        # A model that has been trained here already goes on; else its member would count twice.
        self._held = self._route.following(self._view, token) if hop else token
        return self._advance()

    def receive(self, sender: str, message: Message) -> list[Effect]:
        """A token has come: store and acknowledge it, unless it is no news."""
        token = token_of(message, sender)
        if token is None or self._view is None or not self._is_welcome(token):
            return []
        rank = token.rank(self._setup.me)
        acknowledge = Send(sender, token.acknowledgement())
        if self._history.rank is not None and rank <= self._history.rank:
            return [acknowledge]
        self._history = replace(self._history, rank=rank)
        self._held = token if token.place == self._setup.me else replace(token, relays=token.relays + 1)
        return self._advance(acknowledge)

    def _is_welcome(self, token: Token) -> bool:
        assert self._view is not None
        if token.sender not in self._view.accepted or token.model.params.shape != self._model.params.shape:
            return False
        rounds = self._setup.rounds
        return token.hop == rounds > 0 if token.last else rounds == 0 or token.hop < rounds

    def trained(self, model: Model) -> list[Effect]:
        """The outstanding training is over: adopt its model and pass it on, unless a newer token has come."""
        token, self._training = self._training, None
        if token is None:
            return []
        if token is not self._held:  # a newer one has come meanwhile, or it was dropped
            return self._train()
        assert self._view is not None
        check_senders(self._view, [token.sender])
        hop, merged = token.hop + 1, (token.sender,) if token.sender else ()
        self._history = replace(self._history, visited=(token.mint, token.lap))
        if self._history.is_finished:
            return self._advance()
        self._model, self._history = model, replace(self._history, hop=hop)
        self._held = replace(token, model=model, hop=hop, sender="", failed=frozenset())
        return [Adopt(model, hop, merged), *self._advance()]

    def take_final(self, model: Model, sender: str) -> list[Effect]:
        """The final model has come from a member that has finished; a token held here is at its end too."""
        rounds = self._setup.rounds
        # The rank stays, since the final lap may still be coming.
        self._history = replace(self._history, is_finished=True)
        adopted = self._adopt_final(model, rounds, sender)
        return [adopted, *(self._advance() if self._held is not None else [Store()])]

    def _advance(self, *acknowledge: Effect, is_patient: bool = True) -> list[Effect]:
        """Move the held token as far as it can go: to this node's training, to a handover, or off."""
        if not self._is_started:
            return [Store(), *acknowledge]
        adopted = self._settle(is_patient=is_patient)
        return [*adopted, Store(), *acknowledge, *self._train(), *self._hand_over()]

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
        is_new = self._history.visited != (token.mint, token.lap)
        return is_new and not token.last and not self._is_behind(token.model)

    def _is_behind(self, model: Model) -> bool:
        """Has this member a model with more training behind it?"""
        return model.age < self._model.age

    def _visit_untrained(self, token: Token, view: View) -> list[Effect]:
        """Pass on a token that needs no training here: the final one, one that has been here, one behind."""
        if token.last:
            adopted = self._adopt_final(token.model, token.hop, token.sender)
            own = replace(token, sender="") if token.model is self._model else token
            self._held = next_in_final_lap(view, own)
            self._history = replace(self._history, is_finished=True)
            return [adopted]
        if self._is_behind(token.model):  # minted anew: it takes up what has been trained meanwhile
            hop = max(token.hop, self._history.hop)
            token = replace(token, model=self._model, hop=hop, sender="", failed=frozenset())
        self._held = self._route.following(view, token)
        return []

    def _adopt_final(self, model: Model, hop: int, sender: str) -> Adopt:
        is_theirs = not self._is_behind(model)
        assert self._view is not None
        check_senders(self._view, [sender])
        self._model = model if is_theirs else self._model
        self._history = replace(self._history, hop=hop)
        return Adopt(self._model, hop, (sender,) if sender and is_theirs else ())

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

    def wait_no_longer(self, timer: str) -> list[Effect]:
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

    def let_go(self, sender: str, acknowledgement: Message) -> list[Effect]:
        """The token is stored elsewhere."""
        is_ours = self._handover is not None and self._handover.to == sender
        if is_ours and self._held is not None and self._held.is_acknowledged_by(acknowledgement):
            self._held = self._handover = None
        return []


def _timer(token: Token) -> str:
    return f"token.{token.mint}.{token.lap}.{token.position}.{token.relays}"
