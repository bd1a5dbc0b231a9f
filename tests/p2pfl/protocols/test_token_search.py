from p2pfl.events import Effect, Message, Send, View
from p2pfl.protocols.final_offers import MAX_OFFERS, FinalOffers
from p2pfl.protocols.token_search import FAR_TRIES, TRIES, Mark, TokenSearch
from p2pfl.protocols.token_watch import MAX_SEARCHES, TokenWatch
from tests.p2pfl.protocols.driver import full_mesh, line, view_of

FREE: Mark = ((0, 3, 1, 0), False, False)
HOLDING: Mark = ((0, 3, 1, 0), True, False)


def search_of(me: str) -> TokenSearch:
    return TokenSearch(me, start=1, ack_timeout_s=10.0)


def sends(effects: list[Effect]) -> list[tuple[str, Message]]:
    return [(effect.to, effect.message) for effect in effects if isinstance(effect, Send)]


def answers(query: Message, members: str, mark: Mark, views: dict[str, View]) -> list[Message]:
    found = []
    for member in members:
        other = search_of(member)
        asker, _ = other.pass_on("a", query, views[member])
        found += [message for _, message in sends(other.answer(asker, views[member], mark))]
    return found


VIEWS = {member: view_of(member, full_mesh("abcd"), "abcd") for member in "abcd"}


def test_a_token_is_lost_when_twice_in_a_row_nobody_holds_it_and_nothing_has_moved() -> None:
    search, view = search_of("a"), VIEWS["a"]
    for collection in range(2):
        query = sends(search.begin(view) if not collection else search.ask(view))[0][1]
        assert search.lost(view, FREE) is None
        for answer in answers(query, "bcd", ((2, 1, 0, 0), False, False), VIEWS):
            search.hear(answer, view)
        found = search.lost(view, FREE)
    assert found == 3  # above the highest mint that was heard


def test_what_moves_between_two_collections_is_not_lost_and_late_answers_do_not_count() -> None:
    search, view = search_of("a"), VIEWS["a"]
    first = sends(search.begin(view))[0][1]
    late = answers(first, "bcd", FREE, VIEWS)
    for answer in late:
        search.hear(answer, view)
    assert search.lost(view, FREE) is None
    second = sends(search.ask(view))[0][1]
    for answer in late:  # doubled
        search.hear(answer, view)
    assert search.lost(view, FREE) is None
    for answer in answers(second, "bcd", ((0, 3, 2, 0), False, False), VIEWS):
        search.hear(answer, view)
    assert search.lost(view, FREE) is None
    assert search.is_under_way


def test_one_that_holds_has_finished_or_has_a_lower_id_ends_the_search() -> None:
    for me, other, mark in (("a", "c", HOLDING), ("a", "c", (FREE[0], False, True)), ("b", "a", FREE)):
        search, view = search_of(me), VIEWS[me]
        query = sends(search.begin(view))[0][1]
        (answer,) = answers(query, other, mark, VIEWS)
        search.hear(answer, view)
        assert not search.is_under_way


def test_a_query_is_passed_on_once_and_answers_go_back_the_same_way() -> None:
    views = {
        member: view_of(member, line("abc"), "abc", live)
        for member, live in {"a": "b", "b": "ac", "c": "b"}.items()
    }
    a, b, c = (search_of(member) for member in "abc")
    query = sends(a.begin(views["a"]))[0][1]

    assert [to for to, _ in sends(b.pass_on("a", query, views["b"])[1])] == ["c"]
    assert b.pass_on("a", query, views["b"]) == ("", [])
    asker, _ = c.pass_on("b", query, views["c"])
    ((to, answer),) = sends(c.answer(asker, views["c"], FREE))
    assert to == "b"
    assert sends(b.hear(answer, views["b"])) == [("a", answer)]


def test_the_silent_are_not_waited_for_without_end() -> None:
    for live, tries in (("bc", FAR_TRIES), ("bcd", TRIES)):
        search, view = search_of("a"), view_of("a", full_mesh("abcd"), "abcd", live)
        query = sends(search.begin(view))[0][1]
        for answer in answers(query, "bc", FREE, VIEWS):
            search.hear(answer, view)
        for _ in range(tries):
            assert not search.is_to_be_asked()
            search.timed_out()
            search.lost(view, FREE)
        assert search.is_to_be_asked()  # the second collection


def test_malformed_queries_and_answers_are_ignored() -> None:
    search, view = search_of("b"), VIEWS["b"]
    search.begin(view)
    good: dict[str, int | float | str | bytes] = {
        "asker": "b",
        "number": 1 << 21,
        "member": "c",
        "mint": 0,
        "lap": 0,
        "position": 0,
    }
    wrong: list[dict[str, int | float | str | bytes]] = [
        {},
        {"asker": 3, "number": 1},
        {"asker": "x", "number": 1 << 21},
        {**good, "relays": -1, "is_holding": 1, "is_finished": 0},
        {**good, "relays": 0, "is_holding": "yes", "is_finished": 0},
        {**good, "member": "x", "relays": 0, "is_holding": 1, "is_finished": 0},
    ]
    for fields in wrong:
        assert search.pass_on("c", Message("token_query", 0, None, fields), view) == ("", [])
        search.hear(Message("token_answer", 0, None, fields), view)
    assert search.is_under_way


def test_the_watch_waits_for_twice_the_longest_time_round_and_less_after_a_death() -> None:
    watch = TokenWatch(10.0)
    watch.begin(0.0)
    assert watch.wait_s(0.0, 3) == 30.0
    for now_s in (0.0, 100.0, 150.0):
        watch.seen(now_s)
    assert watch.wait_s(150.0, 3) == 200.0
    watch.changed(160.0, is_loss=True)
    assert watch.wait_s(160.0, 3) == 10.0
    watch.searched(170.0)
    assert watch.wait_s(170.0, 3) == 400.0  # it has been found somewhere: patience doubles
    for _ in range(MAX_SEARCHES):
        watch.searched(170.0)
    assert watch.wait_s(170.0, 3) is None
    watch.seen(500.0)
    assert watch.wait_s(500.0, 3) == 700.0


def test_an_offer_is_repeated_until_it_is_answered_and_not_without_end() -> None:
    view, offers = VIEWS["a"], FinalOffers(9, 10.0)
    assert sends(offers.begin(view)) == []
    assert [to for to, _ in sends(offers.again(view, but="d"))] == ["b", "c"]
    offers.has_finished("b")
    assert [to for to, _ in sends(offers.again(view, but=""))] == ["c", "d"]
    offers.has_finished("c")
    times = 0
    while len(offers.again(view, but="")) > 1:
        times += 1
    assert times == MAX_OFFERS - 3  # the last sets no timer
    offers.has_finished("d")
    assert offers.again(view, but="") == []
    assert [to for to, _ in sends(offers.offer(view, {"d"}))] == ["d"]  # it is back, perhaps without its disk
