"""Is the data there, and does the model learn from it?"""

from collections.abc import Sequence

import numpy as np

from node_daemon.choices import make_task
from node_daemon.doctor.finding import Case, Finding, fail, ok
from node_daemon.local_data import training_rows, words
from p2pfl.errors import ConfigError
from p2pfl.finiteness import is_finite_model
from p2pfl.learning.learner import LearnerSetup
from p2pfl.peer.workshop import TRAINING_FAILURES

BATCH = 32  # rows


def dataset(case: Case) -> Sequence[Finding]:
    """This node's rows can be read."""
    found = make_task(case.settings).dataset()
    rows = training_rows(case.settings, found)
    what = f"{words(case.settings)}: {len(rows):,} train, {len(found.test):,} test"
    if not len(rows):
        return fail("dataset", f"{what}; there is nothing to learn from", "correct [data]")
    return ok("dataset", what)


def training(case: Case) -> Sequence[Finding]:
    """The task loads and learns from one batch."""
    settings = case.settings
    task = make_task(settings)
    found = task.dataset()
    rows = training_rows(settings, found)
    batch = rows.take(np.arange(min(BATCH, len(rows)), dtype=np.int64))
    setup = LearnerSetup(seed=settings.network.seed, device=settings.node.device)
    try:
        learner = task.learner(batch, found.test, setup)
        model, _ = learner.train(learner.initial(), {})
    except ConfigError:
        raise
    except TRAINING_FAILURES as error:
        what = f"{type(error).__name__}: {error}"
        return fail(
            "training", f"{len(batch)} rows could not be learned: {what}", "correct [task] or its code"
        )
    if not is_finite_model(model):
        remedy = "a smaller step (task.step), or scaled data"
        return fail("training", f"the model is not finite after {len(batch)} rows", remedy)
    return ok("training", f"{task.name}, {model.params.size:,} parameters, learned from {len(batch)} rows")
