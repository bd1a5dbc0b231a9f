"""What a node of push-sum holds, and what it says to others; ``push_sum`` decides when."""

from collections.abc import Mapping

import numpy as np

from p2pfl.events import Effect, Message, Send, View
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.late_join import LateJoin
from p2pfl.protocols.patience import WAITING_KIND, Patience
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.push_sum_book import Book
from p2pfl.protocols.push_sum_exchange import Exchange
from p2pfl.protocols.push_sum_inbox import Inbox
from p2pfl.protocols.push_sum_messages import AHEAD, PUSH, ahead, push, waiting
from p2pfl.protocols.push_sum_options import Options
from p2pfl.protocols.push_sum_store import restore, stored
from p2pfl.protocols.snapshots import whole_number


class PushSumState:
    """The half of a node that holds the books and speaks."""

    def __init__(self, setup: Setup, options: Options) -> None:
        self._setup = setup
        self._mixing_rounds = options.mixing_rounds
        self._patience = Patience(
            options.round_timeout_s, options.patience_deviations, phases=options.mixing_rounds
        )
        self._join = LateJoin(options.round_timeout_s, setup.rounds, only_new=True)
        self._scale = float(setup.samples) if options.weighting == "samples" else 1.0
        self._age = setup.model.age
        self._step = 0  # the exchange under way, or before which this node trains; all of them when finished
        self._has_pushed = False  # in this step
        self._book = Book(setup.start, setup.model.params.astype(np.float64) * self._scale, self._scale)
        self._inbox = Inbox()
        self._view: View | None = None
        self._exchange: Exchange | None = None  # None before Started

    def mass(self) -> tuple[float, Mapping[str, float], Mapping[str, float]]:
        """The weight it holds; totals of weight pushed, per receiver, and had, per sender.

        What is held and what was pushed and not yet had sum to the same at all times.
        """
        return self._book.mass()

    @property
    def late(self) -> Mapping[str, int]:
        """Stale models: how many have come from each sender for rounds that were over."""
        return self._patience.late

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
        self._join.restored()

    @property
    def _round(self) -> int:
        return self._step // self._mixing_rounds

    @property
    def _timer(self) -> str:
        return f"push.{self._step}"

    def _is_finished(self) -> bool:
        return 0 < self._setup.rounds <= self._round

    def _is_sharing(self) -> bool:
        return self._has_pushed or self._is_finished()

    def _shared_step(self) -> int:
        """The step that neighbours hear of; the last one when this node has finished."""
        return self._step - 1 if self._is_finished() else self._step

    def _place(self, step: int) -> tuple[int, int]:
        return divmod(step, self._mixing_rounds)

    def _model(self) -> Model:
        """z = s / w."""
        z = self._book.held / self._book.weight
        return Model(z.astype(np.float32), self._age, self._book.weight)

    def _sends_to(self, sender: str) -> bool:
        """Does an edge lead from this node, once it has begun, to a sender?"""
        if self._exchange is None or self._view is None:
            return False
        return sender in self._view.neighbourhood(self._shared_step() // self._mixing_rounds).send_to

    def _share(self) -> list[Effect]:
        """Send the totals to the linked neighbours that have not got those of this step.

        Also to those whom a change of the graph made neighbours meanwhile: they may wait for us already.
        """
        assert self._view is not None
        assert self._exchange is not None
        step, effects = self._shared_step(), list[Effect]()
        for to in self._exchange.untold(self._view, step // self._mixing_rounds):
            message = push(self._place(step), self._book.to(to), age=self._age)
            effects.append(Send(to, message, replaces=f"{PUSH}.{step}"))
        return effects

    def _say_ahead(self, sender: str) -> list[Effect]:
        """Whoever shares an earlier step has lost our message of it, or never had one."""
        if not self._sends_to(sender):
            return []
        return [Send(sender, ahead(self._place(self._step)), replaces=AHEAD)]

    def _say_waiting(self) -> list[Effect]:
        """Tell those that this node sends to that it has not died."""
        assert self._view is not None
        receivers, words = self._view.neighbourhood(self._round).send_to, waiting(self._place(self._step))
        return [Send(to, words, replaces=WAITING_KIND) for to in receivers if to in self._view.live]

    def _answer(self, sender: str, question: Message) -> list[Effect]:
        """Whoever comes late gets the model, if an edge leads there."""
        if not self._sends_to(sender):
            return []
        z = self._model()  # after the training of this round, perhaps, which is still to come for who asks
        model = Model(z.params, min(z.age, self._round), z.weight)
        return self._join.answer(sender, question, round=self._round, model=model)
