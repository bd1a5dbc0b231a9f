from collections import Counter
from functools import partial
from itertools import pairwise

import pytest

from p2pfl.errors import ConfigError
from p2pfl.protocols.random_walk import RandomWalk, next_hop, visits
from tests.p2pfl.protocols.driver import Driver, Graph, full_mesh, line, ring, setup_of, star, train, view_of

NUMBERS = {member: ord(member) for member in "abcdefgh"}
HOPS = 12_000


def frequencies(graph: Graph, members: str, rule: str) -> dict[str, float]:
    path = visits(view_of("a", graph, members), NUMBERS, seed=1, rounds=HOPS, rule=rule)
    return {member: count / HOPS for member, count in Counter(path).items()}


def test_a_metropolis_hastings_walk_visits_all_members_equally() -> None:
    # ALGORITHMS 2.2; on a star of 5 the walk rests 3/4 of the time in a leaf: correlated, hence the tolerance
    for member, share in frequencies(star("abcde"), "abcde", "metropolis_hastings").items():
        assert share == pytest.approx(0.2, abs=0.03), member


def test_a_uniform_walk_visits_in_proportion_to_the_degree() -> None:
    graph = line("abcd")
    found = frequencies(graph, "abcd", "uniform")

    assert found["a"] == pytest.approx(1 / 6, abs=0.02)
    assert found["b"] == pytest.approx(2 / 6, abs=0.02)


def test_one_step_has_the_probabilities_of_the_rule() -> None:
    view = view_of("a", star("abcde"), "abcde")
    draws = [next_hop(view, "b", number=2, seed=seed, hop=1) for seed in range(4000)]

    assert draws.count("a") / 4000 == pytest.approx(1 / 4, abs=0.03)  # min(1/1, 1/4)
    assert draws.count("b") / 4000 == pytest.approx(3 / 4, abs=0.03)


def test_draws_are_addressed_not_consumed() -> None:
    view = view_of("a", full_mesh("abcdefgh"), "abcdefgh")
    first = [next_hop(view, "a", number=1, seed=5, hop=hop, rule="uniform") for hop in range(40)]

    again = [next_hop(view, "a", number=1, seed=5, hop=hop, rule="uniform") for hop in reversed(range(40))]
    assert again[::-1] == first
    assert first != [next_hop(view, "a", number=2, seed=5, hop=hop, rule="uniform") for hop in range(40)]


def test_a_failed_neighbour_is_not_drawn_again() -> None:
    view = view_of("a", full_mesh("abc"), "abc")
    for seed in range(20):
        drawn = next_hop(
            view, "a", number=1, seed=seed, hop=3, rule="uniform", attempt=1, avoid=frozenset("b")
        )
        assert drawn == "c"
    assert next_hop(view, "a", number=1, seed=0, hop=3, avoid=frozenset("bc")) == "a"


@pytest.mark.parametrize("rule", ["uniform", "metropolis_hastings"])
@pytest.mark.parametrize("graph", [ring("abcde"), star("abcde"), ring("abcde", undirected=False)])
def test_the_visits_are_those_of_the_pure_function(graph: Graph, rule: str) -> None:
    driver = Driver(partial(RandomWalk, rule=rule), graph, "abcde", rounds=50, seed=8).run()

    path = visits(view_of("a", graph, "abcde"), NUMBERS, seed=8, rounds=50, rule=rule)
    assert driver.visits() == path
    expected = setup_of("a", 50).model
    for member in path:
        expected = train(member, expected)
    assert set(driver.models().values()) == {expected.params.tobytes()}


def test_to_stay_is_a_hop_without_a_message() -> None:
    driver = Driver(RandomWalk, star("abcde"), "abcde", rounds=60, seed=2).run()
    path = driver.visits()
    hops = sum(a != b for a, b in pairwise(path))
    walking = [message for message in driver.sent if message[2] == "token" and message[3] < 60]

    assert hops < 50
    assert len(walking) == hops


def test_a_walk_goes_round_a_dead_neighbour() -> None:
    driver = Driver(RandomWalk, full_mesh("abcde"), "abcde", rounds=30, down="c").run()

    assert driver.is_finished()
    assert {node.adopted[-1].model.age for node in driver.nodes.values()} == {30}


def test_a_walk_of_one_trains_alone() -> None:
    assert Driver(RandomWalk, Graph([]), "a", rounds=3).run().visits() == ["a", "a", "a"]


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: metropolis_hastings, uniform"):
        RandomWalk(setup_of("a", 1), rule="lazy")


def test_the_default_budget_is_twenty_hops_per_node() -> None:
    assert RandomWalk.default_rounds(5) == 100
