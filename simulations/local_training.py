"""Who trains on what, and how: all nodes in one call where the task can, else one after the other."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.data.feature_noise import ChangesInputs, held_samples
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import LearnerSetup, LearningTask
from p2pfl.learning.swarm_learner import (
    BatchableTask,
    LoopedLearner,
    NotBatchableError,
    SwarmData,
    SwarmLearner,
)

DTYPES = ("float32", "float64")

Split: TypeAlias = Callable[..., Sequence[NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Manner:
    """How trainings are computed: ``is_batched`` None means where it pays and changes nothing."""

    is_batched: bool | None = None
    is_double: bool = False
    pays: bool = True  # does more than one node train at a time?


def swarm_data(data: Dataset, split: Split, parts: int, *, seed: int, **options: object) -> SwarmData:
    """The training rows in ``parts`` parts; where the partitioner changes inputs, each part's own copies."""
    rows = tuple(split(data.train, parts, seed, **options))
    changes: object = split
    if not isinstance(changes, ChangesInputs):
        return SwarmData(data.train, rows, data.test)
    held = [
        held_samples(split, data.train, rows, part=part, seed=seed, options=options) for part in range(parts)
    ]
    ends = np.cumsum([len(one) for one in held])
    own = tuple(np.arange(end - len(one), end) for one, end in zip(held, ends, strict=True))
    inputs, labels = (np.concatenate([getattr(one, key) for one in held]) for key in ("inputs", "labels"))
    return SwarmData(Samples(inputs, labels), own, data.test)


def swarm_learner(
    task: LearningTask, data: SwarmData, setup: LearnerSetup, *, manner: Manner
) -> SwarmLearner:
    """The learners of all nodes; warns where the task was to be batched and cannot be.

    Raises ConfigError where the rows do not fit the task, or batching or float64 is impossible.
    """
    if manner.is_double and manner.is_batched is False:
        raise ConfigError(
            "node by node, models are trained in float32", where="dtype", fix="leave batched or dtype out"
        )
    is_wanted = manner.pays if manner.is_batched is None else manner.is_batched
    why = "node by node was asked for"
    if is_wanted or manner.is_double:
        if isinstance(task, BatchableTask):
            try:
                return task.batched(data, setup, is_double=manner.is_double)
            except NotBatchableError as error:
                why = str(error)
        else:
            why = f"task {task.name!r} knows no other way"
        _complain(task, manner, why)
    numbered = [replace(setup, number=number) for number in range(len(data.rows))]
    return LoopedLearner([task.learner(data.held(one.number), data.test, one) for one in numbered])


def _complain(task: LearningTask, manner: Manner, why: str) -> None:
    if manner.is_batched or manner.is_double:
        raise ConfigError(
            f"task {task.name!r} cannot train all nodes in one call: {why}",
            where="dtype" if manner.is_double else "batched",
            fix="leave it out: nodes then train one after the other, in float32",
        )
    if isinstance(task, BatchableTask):
        warnings.warn(
            f"task {task.name!r}: nodes train one after the other, which is slower: {why}", stacklevel=2
        )
