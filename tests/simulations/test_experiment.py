"""Experiments from Python: what is refused before the start, and what a result holds."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

import topologies
from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import Learner, LearnerSetup
from simulations import Experiment

FAST = {"task": "digits_softmax", "partition": "iid", "nodes": 4}


class MustNotTrain:
    """A task whose learners may not be made: what is wrong is found before."""

    name = "untouched"

    def dataset(self) -> Dataset:
        rows = Samples(np.zeros((40, 1), np.float32), np.zeros(40, np.int64))
        return Dataset(rows, rows, 1)

    def learner(self, train: Samples, test: Samples, setup: LearnerSetup) -> Learner:
        raise AssertionError("a learner was made")


def experiment(**changes: object) -> Experiment:
    settings = {"task": MustNotTrain(), "partition": "iid", "nodes": 4, **changes}
    return Experiment(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"engine": "quantum"}, "engine", "unknown engine 'quantum'; known: event, processes, vectorised"),
        ({"topology": "rign"}, "topology", "unknown topology 'rign'"),
        (
            {"topology": {"name": "ring", "degre": 3}},
            "topology",
            "unknown option of topology 'ring': 'degre'",
        ),
        ({"topology": "ring", "nodes": None}, "topology", "nodes = None"),
        ({"topology": {"name": "ring", "nodes": 5}}, "topology", "nodes = 4"),
        ({"topology": nx.path_graph(5)}, "topology", "nodes = 4, but the graph has 5"),
        ({"topology": nx.Graph(), "nodes": None}, "topology", "no nodes"),
        ({"topology": nx.empty_graph(4)}, "topology", "disconnected: 4 parts"),
        ({"topology": 7}, "topology", "no graph, no schedule and no name"),
        ({"protocol": "gosip_averaging"}, "protocol", "unknown protocol 'gosip_averaging'"),
        ({"protocol": {"name": "cyclic_pass", "ordre": "fixed"}}, "protocol", "'ordre'"),
        ({"protocol": {"order": "fixed"}}, "protocol", "protocol has no name"),
        ({"partition": {"name": "dirichlet", "beta": 1}}, "partition", "'beta'; known: alpha"),
        ({"partition": {"name": "shards", "per_party": 11}}, "data.parts", "40"),
        ({"partition": "by_column"}, "data.partition", "owner"),
        ({"task": "digts"}, "task", "unknown task 'digts'"),
        ({"task": {"name": "digits_softmax", "speed": 2}}, "task", "'speed'"),
        ({"task": {"name": "digits_softmax", "batch_size": 0}}, "task.batch_size", "batch_size"),
        ({"rounds": 0}, "rounds", "rounds must be a whole number from 1, not 0"),
        ({"seed": -1}, "seed", "seed must be a whole number"),
        ({"evaluate_every": 0.5}, "evaluate_every", "evaluate_every"),
        ({"network": {"loss": 2}}, "network.loss", "loss = 2"),
    ],
)
def test_an_error_is_found_before_any_training_and_names_its_key(
    changes: dict[str, object], where: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment(**changes).run()
    assert caught.value.where == where
    assert words in caught.value.what


def test_whole_numbers_of_numpy_are_kept_as_pythons() -> None:
    keys = ("rounds", "seed", "nodes", "evaluate_every", "evaluate_nodes")
    numbers = experiment(**dict.fromkeys(keys, np.int64(3)))
    assert [type(getattr(numbers, key)) for key in keys] == [int] * 5
    ring = {"name": "ring", "nodes": np.int64(4)}
    assert Experiment(topology=ring, task="digits_softmax").setting().nodes == 4
    with pytest.raises(ConfigError, match="seed must be a whole number"):
        experiment(seed=True).setting()


def test_a_wrong_value_of_a_protocols_option_is_found_before_any_training() -> None:
    wrong = Experiment(protocol={"name": "cyclic_pass", "order": "random"}, **FAST)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown order 'random'"):
        wrong.setting()


def test_the_vectorised_engine_says_what_it_cannot_do() -> None:
    for engine in ("vectorised", "processes"):
        lossy = Experiment(engine=engine, network={"loss": 0.1}, **FAST)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="network"):
            lossy.run()


def small(**changes: object) -> Experiment:
    return Experiment(**{"topology": "ring", "rounds": 6, "seed": 2, **FAST, **changes})  # type: ignore[arg-type]


def test_a_result_has_a_row_per_node_and_evaluated_round() -> None:
    result = small(evaluate_every=2).run()
    rows = result.to_records()
    assert {(row["node"], row["round"]) for row in rows} == {(i, r) for i in range(4) for r in (2, 4, 6)}
    assert rows[-1]["time_s"] == result.virtual_seconds == 6.0
    last = {row["node"]: row["accuracy"] for row in rows}
    assert result.final_accuracy == pytest.approx(np.mean([float(a or 0) for a in last.values()]))
    assert result.final_accuracy > 0.5


def test_a_result_counts_what_was_sent() -> None:
    result = small().run()
    assert result.models.shape == (4, 650)
    assert result.messages_sent == 6 * 8
    assert result.bytes_sent == 6 * 8 * 650 * 4
    assert result.consensus_distance > 0


def test_without_evaluation_on_the_way_the_last_models_are_evaluated_all_the_same() -> None:
    every, never = small(evaluate_every=1).run(), small(evaluate_every=0).run()
    assert never.accuracy == ()
    assert never.final_accuracy == every.final_accuracy


@pytest.mark.parametrize(
    "network", [None, {"latency_s": 0.1, "jitter_s": 0.3, "loss": 0.2, "duplicate": 0.2}]
)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(network: object) -> None:
    def models(seed: int) -> bytes:
        return small(seed=seed, network=network, evaluate_every=0).run().models.tobytes()

    assert models(5) == models(5)
    assert models(5) != models(6)


def named(make: Callable[[int], nx.Graph]) -> nx.Graph:
    return nx.relabel_nodes(make(4), dict(enumerate("dbca")))


def test_a_graph_may_have_any_names_and_a_schedule_does_as_well() -> None:
    by_name = small().run().models.tobytes()
    assert small(topology=named(topologies.ring)).run().models.tobytes() == by_name
    assert small(topology=topologies.static(topologies.ring(4))).run().models.tobytes() == by_name


@pytest.mark.parametrize("engine", ["event", "vectorised"])
@pytest.mark.parametrize("protocol", ["gossip_averaging", "cyclic_pass", "random_walk"])
def test_every_protocol_learns_with_its_own_budget(protocol: str, engine: str) -> None:
    result = small(protocol=protocol, engine=engine, rounds=None, evaluate_every=0).run()
    assert result.rounds == (40 if protocol == "gossip_averaging" else 80)
    assert result.final_accuracy > 0.9


@pytest.mark.parametrize("protocol", ["gossip_averaging", "random_walk"])
def test_both_engines_measure_the_same_distance_and_bytes_after_each_round(protocol: str) -> None:
    event, vectorised = (small(engine=engine, protocol=protocol).run() for engine in ("event", "vectorised"))

    assert [row.round for row in event.by_round] == [1, 2, 3, 4, 5, 6]
    is_token = protocol == "random_walk"  # in the end messages hand it to all; arrays do not
    pairs = list(zip(event.by_round, vectorised.by_round, strict=True))
    for one, other in pairs[:-1] if is_token else pairs:
        assert one.consensus_distance == pytest.approx(other.consensus_distance, rel=1e-4)
        assert other.bytes_sent == (None if is_token else one.bytes_sent)
    assert event.by_round[-1].consensus_distance == pytest.approx(event.consensus_distance, abs=1e-6)
    assert is_token or event.by_round[-1].bytes_sent == event.bytes_sent
