"""``p2pnode start --fork-server``: many daemons on one machine for the price of one.

The server imports all that a daemon needs, then trains one batch of a task before it forks the first daemon
that has it, since that imports and builds most of the rest (torch's optimisers alone take two seconds); then
it freezes the collector, so that the children go on sharing those pages.
"""

import gc
import sys
from pathlib import Path

import numpy as np

from node_daemon import assembly, daemon
from node_daemon.choices import check_choices, make_task
from node_daemon.config import load_config
from node_daemon.forking import ForkServer
from node_daemon.sections import Settings
from p2pfl.learning.learner import LearnerSetup
from p2pfl.transports.event_loops import loop_factory

BATCH = 16


def serve() -> int:
    """What ``p2pnode start --fork-server`` does: homes on standard input, reports on standard output."""
    server = ForkServer(daemon.run, WarmUp(), commands=sys.stdin.fileno(), reports=sys.stdout)
    return server.serve()


class WarmUp:
    """Does once what every daemon of a task does at its start, so that nothing is loaded after the fork."""

    def __init__(self) -> None:
        self._warm: set[str] = set()

    def __call__(self, home: Path) -> None:
        """Be ready for the daemon in ``home``; raises P2PError where that daemon would."""
        config = load_config(home=home)
        section = config.settings.task
        key = f"{section.name} {sorted(section.options.items())}"
        if key in self._warm:
            return
        self._warm.add(key)
        check_choices(config)
        _train_one_batch(config.settings)
        _compose(config.settings)
        gc.collect()
        gc.freeze()  # a collection in a child would write to every shared page


def _train_one_batch(settings: Settings) -> None:
    task = make_task(settings)
    samples = task.dataset().train
    few = samples.take(np.arange(min(len(samples), BATCH)))
    learner = task.learner(few, few, LearnerSetup(rounds=1))
    model, _ = learner.train(learner.initial(), {})
    learner.evaluate(model)


def _compose(settings: Settings) -> None:
    """Load the code of the graph, the discoveries and the event loop, and throw away what it makes."""
    assembly.wiring_factory(settings)({"nobody": "nobody"}).neighbourhood(0, "nobody")
    assembly.make_discoveries(settings)
    loop_factory()().close()
