"""The demo: honest figures, one JSON object, clean ends."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from p2pfl.errors import ConfigError
from simulations.demo import run_demo
from simulations.demo_baselines import Baselines, baselines, pooled_updates
from simulations.demo_result import Result
from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]
PER_NODE = {"node", "samples", "accuracy_alone", "accuracy_together"}
BASELINES = Baselines(samples=(100, 300), alone=(0.5, 0.7), pooled=0.95, test_samples=355)
RESULT = Result("ring", "gossip_averaging", 40, 0, BASELINES, together=(0.92, 0.94), seconds=6.0)


def _demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node_daemon", "demo", *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=110)


def _figures(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_demo("--json", *options).stdout)
    return found


def test_means_are_over_the_nodes() -> None:
    found = RESULT.to_json()

    assert found["accuracy_alone"] == pytest.approx(0.6)
    assert found["accuracy_together"] == pytest.approx(0.93)
    assert found["accuracy_pooled"] == 0.95
    assert found["per_node"] == [
        {"node": 0, "samples": 100, "accuracy_alone": 0.5, "accuracy_together": 0.92},
        {"node": 1, "samples": 300, "accuracy_alone": 0.7, "accuracy_together": 0.94},
    ]


def test_the_target_is_better_than_alone_and_close_to_pooled() -> None:
    assert RESULT.is_target_reached
    assert not replace(RESULT, together=(0.88, 0.89)).is_target_reached
    proud = replace(BASELINES, alone=(0.94, 0.94))
    assert not replace(RESULT, baselines=proud).is_target_reached


def test_pooled_training_passes_over_all_the_data_as_often_as_the_run() -> None:
    assert pooled_updates("gossip_averaging", nodes=5, rounds=40) == 40
    assert pooled_updates("cyclic_pass", nodes=5, rounds=100) == 20
    assert pooled_updates("random_walk", nodes=5, rounds=2) == 1


def test_baselines_use_all_training_rows_once_and_the_whole_test_set() -> None:
    options = {"task": "digits_softmax", "partition": {"name": "dirichlet", "alpha": 0.5}, "seed": 0}

    found = baselines(nodes=5, rounds=3, pooled_updates=3, **options)  # type: ignore[arg-type]

    assert sum(found.samples) == 1442
    assert found.test_samples == 355
    assert len(found.alone) == 5
    assert max(found.alone) < found.pooled


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 1}, "a demo of 1 nodes"),
        ({"nodes": 65}, "a demo of 65 nodes"),
        ({"rounds": 0}, "a demo of 0 rounds"),
        ({"protocol": "gosip"}, "unknown protocol 'gosip'"),
        ({"topology": "rign"}, "unknown topology 'rign'"),
        ({"topology": "hypercube"}, "a hypercube has"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_demo(**options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_default_demo_keeps_its_promise_within_a_minute() -> None:
    found = _figures()

    assert (found["nodes"], found["topology"], found["protocol"]) == (5, "ring", "gossip_averaging")
    assert (found["discovery"], found["rounds"]) == ("mdns", 40)
    assert found["accuracy_together"] >= 0.93
    assert found["accuracy_together"] >= found["accuracy_pooled"] - 0.03
    assert found["accuracy_together"] >= found["accuracy_alone"] + 0.10
    assert found["seconds"] < 60
    assert all(set(row) == PER_NODE for row in found["per_node"])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["cyclic_pass", "random_walk"])
def test_a_token_reaches_nine_in_ten_with_its_own_budget(protocol: str) -> None:
    assert _figures("--protocol", protocol)["accuracy_together"] >= 0.90


@pytest.mark.slow
def test_a_demo_that_misses_its_target_shows_its_table_and_ends_with_ten() -> None:
    answer = _demo("--nodes", "3", "--rounds", "1", "--topology", "line")

    assert answer.returncode == 10
    assert "together is not within 0.05 of pooled" in answer.stderr
    assert "3 daemons found each other through zeroconf" in answer.stdout
    assert "\x1b" not in answer.stdout  # no terminal, no animation


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "node_daemon", "demo", "--nodes", "3", "--rounds", "120"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        try:
            until(lambda: len(_descendants(demo.pid)) == 1 + 3, deadline_s=60)
            pids = [process.pid for process in _descendants(demo.pid)]
        finally:
            demo.send_signal(number)
            demo.communicate(timeout=30)

    assert demo.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    until(lambda: all(is_gone(pid) for pid in pids), deadline_s=20)


def _descendants(pid: int) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return found
