"""R11: twenty daemons, six of them killed at a third of the run, three of these come back.

The data is split evenly, since what only a killed node had is gone with it, whatever the others do: with
Dirichlet 0.5 and these nodes the run ends at .83 instead of .91.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest

import topologies
from simulations.daemons import Daemon
from simulations.disturbances import Disturbances
from simulations.homes import Deployment
from simulations.processes import Processes
from simulations.round_faults import RoundFault, Triggers

NODES, ROUNDS = 20, 30
KILLED, BACK = (1, 4, 8, 11, 15, 18), (4, 11, 18)
DEADLINE_S = 3.0
TIMEOUT_S = 100.0
POINTS = 0.02


@dataclass(frozen=True, slots=True)
class Course:
    """Final accuracy, mean over the daemons that are there, and seconds between two rounds of a survivor."""

    accuracy: float
    gaps_s: tuple[float, ...]


def run(triggers: Triggers) -> Course:
    deployment = Deployment(
        graph=topologies.partial_mesh(NODES, degree=4, seed=1),
        protocol={"name": "gossip_averaging", "round_timeout_s": DEADLINE_S},
        rounds=ROUNDS,
        task={"name": "digits_softmax"},
        partition={"name": "iid"},
        seed=3,
    )
    with Processes(deployment) as processes:
        disturbances = Disturbances(processes, triggers)
        processes.start()
        processes.wait(
            lambda: disturbances.are_over_for_all and triggers.are_over,
            timeout_s=TIMEOUT_S,
            on_poll=lambda _: disturbances.look(),
            poll_s=0.01,
        )
        there = [daemon for daemon in processes.daemons if daemon.is_running]
        survivors = [daemon for daemon in there if daemon.number not in KILLED]
        gaps_s = tuple(gap for daemon in survivors for gap in gaps(daemon))
        return Course(float(np.mean([daemon.accuracy or 0.0 for daemon in there])), gaps_s)


def gaps(daemon: Daemon) -> Iterator[float]:
    times = [moment(record) for record in daemon.records if record["event"] == "round.done"]
    assert len(times) == ROUNDS
    for before, after in pairwise(times):
        yield (after - before).total_seconds()


def moment(record: Mapping[str, object]) -> datetime:
    return datetime.fromisoformat(str(record["ts"]))


@pytest.mark.slow
def test_six_of_twenty_killed_cost_two_points_at_most_and_nobody_more_than_a_deadline() -> None:
    undisturbed = run(Triggers([]))
    crashes = [
        RoundFault("crash", node, ROUNDS // 3, ROUNDS // 2 if node in BACK else None) for node in KILLED
    ]

    disturbed = run(Triggers(crashes))

    figures = f"{undisturbed.accuracy:.3f} undisturbed, {disturbed.accuracy:.3f} disturbed"
    sys.stderr.write(f"{figures}; longest round {max(disturbed.gaps_s):.2f} s\n")
    assert disturbed.accuracy > undisturbed.accuracy - POINTS
    # What a round takes beside waiting is what it takes undisturbed.
    assert max(disturbed.gaps_s) < DEADLINE_S + max(undisturbed.gaps_s)
