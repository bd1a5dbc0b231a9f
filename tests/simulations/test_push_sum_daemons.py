"""Push-sum in real daemons over TCP: a crash costs time and no mass."""

from pathlib import Path

import pytest

import topologies
from node_daemon import checkpoint
from simulations.homes import Deployment
from simulations.processes import Processes

NODES = 4
ROUNDS = 60
TIMEOUT_S = 60.0


def total_weight(homes: list[Path]) -> float:
    """Of all nodes and of what is in flight, as their checkpoints have it."""
    total = 0.0
    for home in homes:
        stored = checkpoint.load_newest(home / "state")
        assert stored is not None
        values = stored.snapshot.values
        for key, sign in (("weight", 1), ("outgoing.weight", 1), ("incoming.weight", -1)):
            found = values[f"protocol.{key}"]
            column = found if isinstance(found, list) else [found]
            total += sign * sum(float(each) for each in column)
    return total


@pytest.mark.slow
def test_the_weights_of_killed_and_restarted_daemons_and_of_what_is_in_flight_sum_to_n() -> None:
    graph = topologies.one_way_trust(NODES, out_degree=2, seed=3)
    task = {"name": "digits_softmax"}
    deployment = Deployment(graph=graph, rounds=ROUNDS, task=task, protocol={"name": "push_sum"})
    with Processes(deployment) as processes:
        processes.start()
        for victim, at_round in ((1, 10), (2, 25), (1, 40)):
            watched = processes.daemons[victim]
            processes.wait(lambda d=watched, r=at_round: d.round >= r, timeout_s=TIMEOUT_S)  # type: ignore[misc]
            processes.kill(victim)
            processes.restart(victim)
        processes.wait_done(timeout_s=TIMEOUT_S)
        processes.stop_all()
        total = total_weight([daemon.home for daemon in processes.daemons])
    assert total == pytest.approx(NODES, abs=1e-9)
