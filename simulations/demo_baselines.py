"""What the demo compares with: each node alone, and one learner that has everybody's data.

All three face the same test samples, which nobody trains on, from the same initial model.

* *Alone*: as many local updates as stand behind the model of the run, all on the node's own samples.
* *Pooled*: as many passes over all the data.  With gossip every node makes ``rounds`` updates, each over its
  part, so all the data is passed over by ``rounds`` updates of one learner that has it all; with a token one
  node trains per hop, so that ``rounds`` hops pass over all the data by ``rounds / nodes`` such updates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from p2pfl import registry
from p2pfl.data.dataset import Samples
from p2pfl.data.feature_noise import held_samples
from p2pfl.learning.baselines import train_alone
from p2pfl.learning.learner import Learner, LearnerSetup, LearningTask

TOKENS = frozenset({"cyclic_pass", "random_walk"})  # protocols in which one node trains per round

Partition = Callable[..., Sequence[NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Baselines:
    """Samples and accuracy alone per node; accuracy of pooled training; how many samples test them."""

    samples: tuple[int, ...]
    alone: tuple[float, ...]
    pooled: float
    test_samples: int


def baselines(
    *,
    task: str,
    partition: Mapping[str, object],
    nodes: int,
    rounds: int,
    pooled_updates: int,
    seed: int,
) -> Baselines:
    """Train both with the same data, parts, seed and learners as the daemons have."""
    made = cast(Callable[[], LearningTask], registry.resolve("task", task))()
    data = made.dataset()
    options = dict(partition)
    split = cast(Partition, registry.resolve("partition", str(options.pop("name"))))
    rows = split(data.train, nodes, seed, **options)
    held = partial(held_samples, split, data.train, rows, seed=seed, options=options)
    parts = [held(part=number) for number in range(len(rows))]

    def learner(train: Samples, number: int, updates: int) -> Learner:
        return made.learner(train, data.test, LearnerSetup(seed=seed, number=number, rounds=updates))

    return Baselines(
        samples=tuple(len(part) for part in parts),
        alone=tuple(_accuracy(learner(part, i, rounds), rounds) for i, part in enumerate(parts)),
        pooled=_accuracy(learner(data.train, 0, pooled_updates), pooled_updates),
        test_samples=len(data.test),
    )


def pooled_updates(protocol: str, nodes: int, rounds: int) -> int:
    """Updates over all the data that pass over it as often as a run of ``rounds``."""
    return max(1, round(rounds / nodes)) if protocol in TOKENS else rounds


def _accuracy(learner: Learner, updates: int) -> float:
    return learner.evaluate(train_alone(learner, updates)).accuracy
