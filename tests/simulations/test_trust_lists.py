"""Trust lists as the graph: what a simulation with the lists gives is what the graph itself gives."""

from dataclasses import replace

import pytest

import topologies
from p2pfl.errors import ConfigError
from simulations import Experiment
from simulations.trust_lists import compiled

GRAPH = topologies.one_way_trust(8, out_degree=2, seed=2)
BASE = Experiment(topology=GRAPH, task="digits_softmax", rounds=8, seed=4, evaluate_every=8)


@pytest.mark.parametrize(
    "protocol", ["gossip_averaging", "push_sum", {"name": "random_walk", "rule": "uniform"}]
)
def test_lists_compiled_from_a_digraph_give_the_models_of_the_digraph(protocol: object) -> None:
    by_graph = replace(BASE, protocol=protocol).run()  # type: ignore[arg-type]
    by_lists = replace(BASE, protocol=protocol, trust="list").run()  # type: ignore[arg-type]

    assert by_lists.models.tobytes() == by_graph.models.tobytes()


def test_rosters_by_rumours_and_the_recursion_on_arrays_give_the_same() -> None:
    expected = replace(BASE, trust="list").run().models.tobytes()

    rumours = replace(BASE, trust="list", membership="gossip", network={"latency_s": 0.01}).run()
    arrays = replace(BASE, trust="list", engine="vectorised").run()

    assert rumours.models.tobytes() == arrays.models.tobytes() == expected


def test_a_graph_without_arrows_is_trust_both_ways_and_all_count_alike() -> None:
    lists = compiled(topologies.star(4), ("a", "b", "c", "d")).trusts

    assert lists["a"].accept_from == lists["a"].share_with == frozenset("bcd")
    assert lists["b"].accept_from == lists["b"].share_with == frozenset("a")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "cyclic_pass"}, "needs an order of all nodes"),
        ({"protocol": {"name": "random_walk", "rule": "metropolis_hastings"}}, "the neighbours' neighbours"),
        ({"engine": "processes"}, "trust whoever reaches them"),
        ({"trust": "lists"}, "unknown trust 'lists'"),
        ({"topology": "trust", "nodes": 4}, "has no trust.toml"),
    ],
)
def test_what_one_way_trust_cannot_do_is_refused_with_a_way_out(
    changes: dict[str, object], words: str
) -> None:
    experiment = replace(BASE, **{"trust": "list", **changes})  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=words) as caught:
        experiment.run()
    assert caught.value.fix


def test_a_random_walk_by_lists_is_uniform_unless_another_rule_is_asked_for() -> None:
    setting = replace(BASE, protocol="random_walk", trust="list").setting()

    assert setting.protocol.options["rule"] == "uniform"
