"""The simulators are measured on equal work; how fast they are is not a test's to say."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from p2pfl.data.digits import digits
from simulations.benchmarks import simulator
from simulations.benchmarks.__main__ import main
from simulations.benchmarks.simulator_work import BATCH, SAMPLES, PlainLoop, draws, experiment

KEYS = {
    "engine",
    "model",
    "nodes",
    "node_rounds_per_s",
    "peak_memory_bytes",
    "ratio_to_loop",
    "is_extrapolated",
}


def test_more_nodes_than_rows_draw_theirs_with_replacement() -> None:
    parts = draws(digits().train, 2_000, 1)
    assert {len(part) for part in parts} == {SAMPLES}
    assert len(np.unique(np.concatenate(parts))) == len(digits().train)


@pytest.mark.parametrize("is_lean", [False, True], ids=["loader", "lean"])
def test_the_plain_loop_trains_two_mini_batches_and_averages_with_its_neighbours(is_lean: bool) -> None:
    loop = PlainLoop("softmax", 6, is_lean=is_lean)
    assert [len(labels) for _, labels in loop.batches[0]] == [BATCH, BATCH]
    loop.train(range(6))
    before = torch.stack([_weights(module) for module in loop.models])
    loop.average()
    near = [0, *loop.neighbours[0]]
    assert len(near) == 5
    assert torch.allclose(_weights(loop.models[0]), before[near].mean(dim=0), atol=1e-7)


def _weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_both_engines_do_the_same_work() -> None:
    event, vectorised = (
        experiment(engine, "softmax", 20, rounds=2).run(progress=False) for engine in ("event", "vectorised")
    )
    assert event.messages_sent == vectorised.messages_sent == 2 * 20 * 4
    assert event.models.tobytes() == vectorised.models.tobytes()


@pytest.mark.slow
def test_rows_say_engine_speed_memory_and_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "LOOP_NODES", 10)
    monkeypatch.setattr(simulator, "NODE_ROUNDS", dict.fromkeys(simulator.NODE_ROUNDS, 60))
    rows = simulator.measure(repeats=1, nodes=(20,), models=("softmax",))
    assert [row.engine for row in rows] == ["vectorised", "event", "loop", "lean loop"]
    assert [row.is_extrapolated for row in rows] == [False, False, True, True]
    for row in rows:
        assert row.as_json().keys() == KEYS
        assert row.peak_memory_bytes > 10**8
        assert row.ratio_to_loop == pytest.approx(row.node_rounds_per_s / rows[2].node_rounds_per_s)
    [overhead] = simulator.measure_messages(repeats=1, cases=[(50, 4)])
    assert overhead.messages == 50 * 4 * 4
    assert overhead.us_per_message > 0


@pytest.mark.slow
def test_the_command_prints_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = simulator.Row("loop", "mlp", 10, 100.0, 10**8, 1.0)
    monkeypatch.setattr(simulator, "measure", lambda *, repeats: [row] * repeats)
    monkeypatch.setattr(simulator, "measure_messages", lambda *, repeats: [simulator.Overhead(10, 40, 9.0)])
    assert main(["simulator", "--json", "--repeats", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == [row.as_json()] * 2
    assert found["messages"] == [{"nodes": 10, "messages": 40, "us_per_message": 9.0}]
    assert main(["simulator"]) == 0
    assert "node-rounds/s" in capsys.readouterr().out
