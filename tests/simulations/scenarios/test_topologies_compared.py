from pathlib import Path

import pytest

from p2pfl.learning.tasks import idx
from simulations.scenarios.topologies_compared import run, schedules
from tests.p2pfl.data.small_files import real_data, write_idx

NODES = 16


def test_graphs_stand_from_nobody_to_everybody() -> None:
    names = list(schedules(NODES))
    assert (names[0], names[1], names[-1]) == ("alone", "ring", "full_mesh")


def test_alone_sends_nothing_and_the_full_mesh_agrees(tmp_path: Path) -> None:
    task = idx(path=str(write_idx(tmp_path, train=200, test=20)), model="softmax", local_steps=2)
    graphs = schedules(8)
    alone, everybody = (run(task, graphs[name], 0.5, rounds=3) for name in ("alone", "full_mesh"))

    assert alone.messages_sent == 0
    assert everybody.messages_sent == 3 * 8 * 7
    assert everybody.consensus_distance < 1e-5 < alone.consensus_distance


@pytest.mark.slow
def test_a_better_connected_graph_learns_more_from_skewed_classes() -> None:
    path = str(real_data("fashion-mnist"))
    task = idx(path=path, train_rows=12_000, test_rows=1_000, model="softmax", local_steps=10, batch_size=32)
    graphs = schedules(NODES)
    found = {
        name: run(task, graphs[name], 0.1, rounds=15).final_accuracy
        for name in ("alone", "ring", "full_mesh")
    }

    assert found["alone"] + 0.1 < found["ring"]
    assert found["ring"] < found["full_mesh"]
