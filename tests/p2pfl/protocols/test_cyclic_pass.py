from functools import partial

import pytest

from p2pfl.errors import ConfigError
from p2pfl.protocols.cyclic_pass import CyclicPass, lap_order, visits
from tests.p2pfl.protocols.driver import Driver, Graph, full_mesh, ring, setup_of, train


def test_the_model_goes_round_the_ring_in_the_order_of_the_members() -> None:
    driver = Driver(CyclicPass, ring("abcde"), "abcde", rounds=12).run()

    assert driver.visits() == list("abcdeabcdeab")


def test_the_run_equals_sequential_training_at_the_members_in_turn() -> None:
    driver = Driver(CyclicPass, ring("abcd"), "abcd", rounds=10).run()

    expected = setup_of("a", 10).model
    for member in visits(tuple("abcd"), seed=0, rounds=10):
        expected = train(member, expected)
    assert set(driver.models().values()) == {expected.params.tobytes()}


def test_every_lap_of_permutations_visits_each_member_once_in_an_order_of_its_own() -> None:
    members = tuple("abcdefgh")
    laps = [lap_order(members, seed=3, lap=lap, order="permutation") for lap in range(20)]

    assert all(sorted(lap) == list(members) for lap in laps)
    assert len(set(laps)) == 20
    assert laps[0][0] == "a"
    assert laps == [lap_order(members, seed=3, lap=lap, order="permutation") for lap in range(20)]
    assert laps[1] != lap_order(members, seed=4, lap=1, order="permutation")


@pytest.mark.parametrize("graph", [ring("abcde"), full_mesh("abcde"), ring("abcde", undirected=False)])
def test_the_visits_are_those_of_the_pure_function_whatever_the_graph(graph: Graph) -> None:
    driver = Driver(partial(CyclicPass, order="permutation"), graph, "abcde", rounds=23, seed=6).run()

    assert driver.visits() == visits(tuple("abcde"), seed=6, rounds=23, order="permutation")


def test_on_a_ring_models_move_along_its_edges_and_once_per_hop() -> None:
    driver = Driver(CyclicPass, ring("abcde"), "abcde", rounds=10).run()

    tokens = [(sender, receiver) for sender, receiver, kind, _ in driver.sent if kind == "token"]
    assert tokens == [
        (a, b) for a, b in zip("abcdeabcdabcd"[:9] + "eabc", "bcdeabcdebcdea"[:9] + "abcd", strict=True)
    ]


@pytest.mark.parametrize("order", ["fixed", "permutation"])
def test_the_run_goes_on_when_the_roster_changes_in_the_middle_of_a_lap(order: str) -> None:
    driver = Driver(partial(CyclicPass, order=order), full_mesh("abcdef"), "abcdef", rounds=40)
    driver.run(until=lambda: driver.now_s > 10 and any(node.is_training for node in driver.nodes.values()))
    holder = next(member for member, node in driver.nodes.items() if node.is_training)
    gone = next(member for member in "fedcba" if member != holder)
    driver.crash(gone)
    driver.leave(gone)
    driver.run()

    assert driver.is_finished()
    assert len(set(driver.models().values())) == 1
    assert {node.adopted[-1].model.age for node in driver.nodes.values()} == {40}


@pytest.mark.parametrize("members", ["a", "ab"])
def test_a_ring_of_one_or_two_works(members: str) -> None:
    driver = Driver(CyclicPass, ring(members), members, rounds=5).run()

    assert driver.visits() == [members[i % len(members)] for i in range(5)]


def test_an_unknown_order_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: fixed, permutation"):
        CyclicPass(setup_of("a", 1), order="fixd")


def test_the_default_budget_is_twenty_hops_per_node() -> None:
    assert CyclicPass.default_rounds(7) == 140
