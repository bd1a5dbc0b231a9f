import networkx as nx

import topologies
from p2pfl.events import View
from p2pfl.peer.linking import FULL_LINKING, GRACE_S, Surplus, members_to_link, ring_links
from p2pfl.roster import GraphWiring


def view_of(me: str, members: list[str]) -> View:
    graph = topologies.for_members("ring", tuple(members), 0)
    wiring = GraphWiring(tuple(graph), topologies.static(graph))
    return View(me, tuple(members), frozenset(), frozenset(members), wiring)


def with_neighbours(me: str, members: list[str]) -> tuple[View, frozenset[str]]:
    view = view_of(me, members)
    return view, frozenset(view.neighbourhood(0).receive_weights)


def named(count: int) -> list[str]:
    return [f"m{number:03d}" for number in range(count)]


def test_all_are_linked_in_a_small_network_and_a_few_in_a_large_one() -> None:
    small, large = named(FULL_LINKING), named(100)

    assert members_to_link(view_of("m003", small), ()) == [m for m in small if m != "m003"]
    assert max(len(members_to_link(*with_neighbours(member, large))) for member in large) <= 2 + 8


def test_each_member_is_watched_by_four_others_and_rumours_reach_all_in_a_few_steps() -> None:
    for count in (17, 40, 300):
        linked = ring_links(named(count))
        assert min(map(len, linked.values())) >= 4
        graph = nx.Graph([(a, b) for a, others in linked.items() for b in others])
        assert nx.is_connected(graph)
        assert nx.diameter(graph) <= 6


def test_whoever_is_wanted_wants_the_other_too() -> None:
    members = named(30)
    wanted = {member: members_to_link(*with_neighbours(member, members)) for member in members}

    assert all(member in wanted[other] for member, others in wanted.items() for other in others)


def test_a_death_changes_the_links_of_few() -> None:
    before, after = ring_links(named(100)), ring_links(named(100)[1:])

    changed = [member for member in after if after[member] != before[member] - {"m000"}]
    assert len(changed) <= 8


def test_a_link_that_is_no_longer_wanted_is_closed_after_a_while_and_later_each_time() -> None:
    surplus = Surplus()

    assert surplus.look(["a", "b"], {"a"}, 0.0) == []
    assert surplus.look(["a", "b"], {"a", "b"}, GRACE_S / 2) == []
    assert surplus.look(["a", "b"], {"a"}, GRACE_S) == []
    assert surplus.look(["a", "b"], {"a"}, 2 * GRACE_S) == ["b"]
    assert surplus.look(["a"], {"a"}, 2 * GRACE_S) == []
    assert surplus.look(["a", "b"], {"a"}, 3 * GRACE_S) == []
    assert surplus.look(["a", "b"], {"a"}, 4 * GRACE_S + 1) == []
    assert surplus.look(["a", "b"], {"a"}, 5 * GRACE_S) == ["b"]
