"""Training and evaluation in one worker thread, so that the event loop goes on answering.

Jobs run one after the other in the order in which they were asked for, which makes an evaluation see
exactly the model it was asked about.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from p2pfl.errors import P2PError
from p2pfl.events import Train
from p2pfl.finiteness import is_finite_model
from p2pfl.learning.learner import Evaluation, Learner, TrainingState
from p2pfl.model import Model
from p2pfl.peer.tasks import Tasks

# What a learner may raise for bad luck or bad data; everything else is a bug.
TRAINING_FAILURES = (RuntimeError, ValueError, ArithmeticError, MemoryError, P2PError)


class Workshop:
    """Keeps the learner's private state and carries out ``Train`` one at a time."""

    def __init__(self, learner: Learner, state: TrainingState, failed: Callable[[Exception], None]) -> None:
        self._learner = learner
        self.state = state
        self._failed = failed
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="train")
        self._waiting: tuple[Train, Callable[[Model], None]] | None = None
        self._jobs = Tasks()
        self._is_paused = False
        self._is_training = False
        self.rolled_back = 0  # trainings that gave something that is no model

    @property
    def is_paused(self) -> bool:
        """Is training held back?"""
        return self._is_paused

    @property
    def is_training(self) -> bool:
        """Is a training under way, which a pause lets finish?"""
        return self._is_training

    def pause(self) -> None:
        """Begin no training until ``resume``; one under way is finished."""
        self._is_paused = True

    def resume(self) -> None:
        """Take up what was held back."""
        self._is_paused = False
        if self._waiting is not None:
            (effect, done), self._waiting = self._waiting, None
            self.train(effect, done)

    def train(self, effect: Train, done: Callable[[Model], None]) -> None:
        """Train, then call ``done`` in the loop with the new model, or with the given one after a failure."""
        if self._is_paused:
            self._waiting = (effect, done)
            return
        self._jobs.begin(self._train(effect, done))

    def evaluate(self, model: Model, done: Callable[[Evaluation], None]) -> None:
        """Evaluate, then call ``done`` in the loop."""
        self._jobs.begin(self._evaluate(model, done))

    def afterwards(self, done: Callable[[], None]) -> None:
        """Call ``done`` in the loop when the evaluations that were asked for before are over."""
        self._jobs.begin(self._wait(done))

    async def close(self) -> None:
        """Drop what has not begun; a training under way is let be, and its result is dropped."""
        await self._jobs.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _train(self, effect: Train, done: Callable[[Model], None]) -> None:
        loop = asyncio.get_running_loop()
        work = partial(self._trained, effect, self.state)
        self._is_training = True
        try:
            model, self.state = await loop.run_in_executor(self._worker, work)
        except TRAINING_FAILURES as error:
            self._failed(error)
            model = effect.model
        self._is_training = False
        done(model)

    def _trained(self, effect: Train, state: TrainingState) -> tuple[Model, TrainingState]:
        """In the worker: the new model and state; raises ArithmeticError when they are no numbers."""
        given, offset = effect.model, effect.gradient_offset
        model, state = self._learner.train(given, state, gradient_offset=offset)
        if not is_finite_model(model):
            # The state (a momentum) is as bad as the model: both are put back.
            self.rolled_back += 1
            raise ArithmeticError(
                f"the trained model is not finite; rolled back to age {given.age} ({self.rolled_back} so far)"
            )
        return model, state

    async def _wait(self, done: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._worker, int)
        done()

    async def _evaluate(self, model: Model, done: Callable[[Evaluation], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            evaluation = await loop.run_in_executor(self._worker, self._learner.evaluate, model)
        except TRAINING_FAILURES as error:
            self._failed(error)
            return
        done(evaluation)
