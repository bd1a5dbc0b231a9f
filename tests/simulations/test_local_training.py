"""Experiments whose nodes train in one call, and those whose nodes cannot."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from p2pfl.data.digits import digits
from p2pfl.errors import ConfigError
from p2pfl.learning.batched_learner import BatchedLearner
from p2pfl.learning.swarm_learner import LoopedLearner
from p2pfl.learning.task import Task
from simulations import Experiment
from simulations.compute import Compute
from simulations.event_simulator import EventSimulator
from simulations.training import Answer, Asked, add_one, by_function
from tests.simulations.swarms import Chatter, swarm_of

NODES = 16
TASK = Task("small", module=lambda: nn.Linear(64, 10), dataset=digits, local_steps=3)
SIXTEEN = Experiment(
    topology={"name": "partial_mesh", "nodes": NODES, "degree": 4},
    task=TASK,
    partition={"name": "dirichlet", "alpha": 0.3},
    rounds=5,
    evaluate_every=0,
)
DISTURBED = replace(
    SIXTEEN,
    network={"loss": 0.2, "duplicate": 0.1, "jitter_s": 0.3},
    compute={"distribution": "lognormal", "median": 1.0, "sigma": 0.5},
)


@pytest.mark.parametrize(
    ("protocol", "nodes", "kind"),
    [
        ("gossip_averaging", NODES, BatchedLearner),
        ("gossip_averaging", NODES - 1, LoopedLearner),
        ("cyclic_pass", NODES, LoopedLearner),
        ("random_walk", NODES, LoopedLearner),
    ],
)
def test_nodes_train_in_one_call_where_that_pays(protocol: str, nodes: int, kind: type) -> None:
    setting = Experiment(topology="ring", nodes=nodes, protocol=protocol, task=TASK, rounds=2).setting()

    assert isinstance(setting.learner, kind)


@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum"])
def test_virtual_time_and_arrays_agree_when_nodes_train_in_one_call(protocol: str) -> None:
    event = replace(SIXTEEN, protocol=protocol).run(progress=False)
    arrays = replace(SIXTEEN, protocol=protocol, engine="vectorised").run(progress=False)
    scale = np.abs(arrays.models).max()
    assert np.abs(event.models - arrays.models).max() < 1e-5 * scale
    assert event.bytes_sent == arrays.bytes_sent
    if protocol == "gossip_averaging":  # the same learner calls, and merges in the same order
        assert event.models.tobytes() == arrays.models.tobytes()


@pytest.mark.parametrize("experiment", [SIXTEEN, DISTURBED], ids=["undisturbed", "disturbed"])
def test_one_call_gives_the_models_of_one_node_after_the_other(experiment: Experiment) -> None:
    together = experiment.run(progress=False)
    looped = replace(experiment, batched=False).run(progress=False)
    assert np.abs(together.models - looped.models).max() < 1e-5
    assert [row.accuracy for row in together.final] == [row.accuracy for row in looped.final]
    assert together.messages_sent == looped.messages_sent


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    churn = {"churn": {"up_s": 6.0, "down_s": 2.0, "until_s": 8.0}}
    first, again, other = (
        replace(DISTURBED, faults=churn, seed=seed).run(progress=False).models.tobytes() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_what_is_under_way_is_computed_when_the_first_of_it_is_due() -> None:
    calls: list[tuple[float, list[str]]] = []
    one_by_one = by_function(add_one)

    def train(asked: Sequence[Asked]) -> Sequence[Answer]:
        calls.append((simulator.now_s, [one.member for one in asked]))
        return one_by_one(asked)

    seconds = [1.0, 2.5, 3.0]
    simulator = EventSimulator(
        swarm_of(3, Chatter, rounds=2), train=train, compute_s=Compute(function=lambda node, _: seconds[node])
    )
    simulator.crash("00002", at_s=0.5)
    simulator.run()
    # Node 0 asks again at 1.0 and is due at 2.0; by then node 1 waits with its first result.
    assert calls == [(1.0, ["00000", "00001"]), (2.0, ["00000"]), (5.0, ["00001"])]


def test_only_the_nodes_that_were_asked_for_are_evaluated() -> None:
    result = replace(SIXTEEN, evaluate_every=2, evaluate_nodes=3).run(progress=False)
    nodes = {row.node for row in result.final}
    assert len(nodes) == 3
    assert [(row.node in nodes, row.round) for row in result.accuracy] == [(True, 2)] * 3 + [(True, 4)] * 3
    assert result.models.shape == (NODES, 650)
    everybody = replace(SIXTEEN, evaluate_every=2).run(progress=False)
    assert [row for row in everybody.accuracy if row.node in nodes] == list(result.accuracy)


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 10), nn.Dropout(0.1))


def test_a_module_that_cannot_is_looped_over_with_one_warning() -> None:
    experiment = replace(SIXTEEN, task=replace(TASK, module=with_dropout), rounds=1)
    with pytest.warns(UserWarning, match="'small': nodes train one after the other.*Dropout.*at random"):
        assert isinstance(experiment.setting().learner, LoopedLearner)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"task": replace(TASK, module=with_dropout), "batched": True}, "batched"),
        ({"task": "digits_softmax", "engine": "vectorised", "dtype": "float64"}, "dtype"),
        ({"dtype": "float64"}, "dtype"),
        ({"engine": "vectorised", "dtype": "float64", "batched": False}, "dtype"),
        ({"dtype": "int8"}, "dtype"),
        ({"evaluate_nodes": NODES + 1}, "evaluate_nodes"),
        ({"device": "abacus"}, "device"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_key(change: dict[str, object], where: str) -> None:
    with pytest.raises(ConfigError) as raised:
        replace(SIXTEEN, **change).setting()  # type: ignore[arg-type]
    assert raised.value.where == where


def test_double_precision_is_kept_to_the_end() -> None:
    double = replace(SIXTEEN, engine="vectorised", dtype="float64").run(progress=False)
    single = replace(SIXTEEN, engine="vectorised").run(progress=False)
    assert [str(result.models.dtype) for result in (double, single)] == ["float64", "float32"]
    assert 0 < np.abs(double.models - single.models).max() < 1e-5
