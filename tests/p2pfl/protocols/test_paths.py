from p2pfl.protocols.paths import first_step, round_that_proves
from tests.p2pfl.protocols.driver import full_mesh, line, ring, view_of


def test_a_path_begins_with_the_neighbour_on_the_shorter_side() -> None:
    view = view_of("a", ring("abcdefg"), "abcdefg")

    assert first_step(view, "c", round=0, among=("b", "g")) == "b"
    assert first_step(view, "f", round=0, among=("b", "g")) == "g"
    assert first_step(view, "c", round=0, among=("g",)) == "g"


def test_there_is_no_path_through_this_node_or_to_a_stranger() -> None:
    view = view_of("b", line("abc"), "abc")

    assert first_step(view, "c", round=0, among=("a",)) is None
    assert first_step(view, "x", round=0, among=("a", "c")) is None


def test_a_neighbour_cannot_be_a_round_ahead_of_an_unsent_message_but_a_far_sender_can() -> None:
    assert round_that_proves(view_of("a", full_mesh("abcd"), "abcd"), "b", 7) == 8
    one_way = view_of("a", ring("abcde", undirected=False), "abcde")
    assert round_that_proves(one_way, "e", 7) == 11  # four edges from a to e


def test_a_sender_that_never_hears_from_us_proves_nothing() -> None:
    graph = line("abc")
    graph.edges = {("a", "b"), ("b", "c")}

    assert round_that_proves(view_of("c", graph, "abc"), "b", 0) is None
