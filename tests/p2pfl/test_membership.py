from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from p2pfl.events import TimerFired
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    MAX_RUMOURS,
    Active,
    FixedMembership,
    Heard,
    Heartbeat,
    LinkDown,
    LinkUp,
    Membership,
    Rumour,
    State,
    Tell,
    Unreachable,
    roster_hash,
)
from tests.p2pfl.membership_world import World


def chain(names: str) -> list[str]:
    return [a + b for a, b in pairwise(names)]


def test_rumours_of_joins_reach_nodes_that_have_no_link_to_each_other() -> None:
    world = World("abcdef")
    world.link(*chain("abcdef"))

    world.run(until_s=1.0)

    assert set(world.rosters().values()) == {"abcdef"}
    assert world.nodes["a"].table["f"].address == "at-f"
    assert world.nodes["a"].linked == {"b"}


def test_a_dead_member_leaves_every_roster_within_seconds() -> None:
    world = World("abcdef")
    world.link(*chain("abcdef"), "af")
    world.run(until_s=2.0)

    world.kill("c")
    world.run(until_s=2.0 + world.timing.suspicion_s + 2 * world.timing.heartbeat_s)

    assert set(world.rosters().values()) == {"abdef"}


def test_a_member_that_says_goodbye_is_not_suspected_first() -> None:
    world = World("abc")
    world.link("ab", "bc")
    world.run(until_s=2.0)

    world.kill("c", says_goodbye=True)
    world.run(until_s=2.5)

    assert set(world.rosters().values()) == {"ab"}


def test_a_silent_peer_with_a_link_up_is_noticed_by_its_missing_heartbeats() -> None:
    world = World("abc")
    world.link("ab", "bc", "ac")
    world.run(until_s=2.0)

    del world.nodes["c"]  # the link stays: nobody sends, nothing is reset
    world.run(until_s=2.0 + world.timing.silence_s + world.timing.suspicion_s + 3 * world.timing.heartbeat_s)

    assert world.rosters() == {"a": "ab", "b": "ab"}


def test_a_suspect_that_others_still_reach_refutes_with_a_higher_incarnation() -> None:
    world = World("abc")
    world.link("ab", "bc", "ac")
    world.run(until_s=2.0)

    world.cut("ab")
    world.run(until_s=12.0)

    assert set(world.rosters().values()) == {"abc"}
    assert world.nodes["a"].incarnation + world.nodes["b"].incarnation > 2


def test_an_unreachable_member_is_suspected_and_refutes_through_others() -> None:
    world = World("abc")
    world.link("ab", "bc")
    world.run(until_s=2.0)

    world.tell_unreachable("a", "c")

    assert world.nodes["a"].table["c"].state is State.SUSPECT
    world.run(until_s=12.0)
    assert set(world.rosters().values()) == {"abc"}
    assert world.nodes["c"].incarnation == 2


def test_a_restarted_member_is_back_although_its_death_was_rumoured() -> None:
    world = World("abcd")
    world.link(*chain("abcd"), "ad")
    world.run(until_s=2.0)
    world.kill("b")
    world.run(until_s=10.0)

    world.begin("b", incarnation=1)  # not even a higher incarnation than the one that died
    world.link("ab")
    world.run(until_s=12.0)

    assert set(world.rosters().values()) == {"abcd"}
    assert world.nodes["b"].incarnation > 1


def test_both_sides_of_a_healed_partition_merge_their_rosters() -> None:
    world = World("abcdef")
    world.link("ab", "bc", "ac", "de", "ef", "df", "cd", "af")
    world.run(until_s=2.0)
    world.cut("cd", "af")
    world.run(until_s=10.0)
    # Nobody in one half has a link to "b" or "e" of the other; graph neighbours find out by dialling.
    world.tell_unreachable("a", "e")
    world.tell_unreachable("d", "b")
    world.run(until_s=20.0)
    assert world.rosters() == dict.fromkeys("abc", "abc") | dict.fromkeys("def", "def")

    world.link("cd")
    world.run(until_s=24.0)

    assert set(world.rosters().values()) == {"abcdef"}


def test_an_idle_network_only_sends_one_heartbeat_per_link_and_period() -> None:
    world = World("abcd")
    world.link("ab", "bc", "cd", "ad")
    world.run(until_s=5.0)

    told = world.told
    world.run(until_s=15.0)

    assert 8 * 9 <= world.told - told <= 8 * 11


def test_a_new_link_is_told_the_whole_table_in_bounded_heartbeats() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    claims = tuple(Rumour(f"m{i:03d}", 1, State.ALIVE) for i in range(150))
    node.handle(LinkUp("m000", 1), 0.0)
    node.handle(Heard("m000", Heartbeat(1, b"", claims)), 0.0)

    outputs = [*node.start(0.0), *node.handle(LinkUp("m001", 1), 0.0)]
    for beat in range(20):
        outputs += node.handle(TimerFired(HEARTBEAT_TIMER), beat / 20)

    told = [o.heartbeat.rumours for o in outputs if isinstance(o, Tell) and o.to == "m001"]
    assert {r.member for rumours in told for r in rumours} == {"me", *(c.member for c in claims)}
    assert max(map(len, told)) <= MAX_RUMOURS


@given(
    st.permutations(
        [
            Rumour("x", 1, State.ALIVE, "X"),
            Rumour("x", 1, State.SUSPECT),
            Rumour("x", 2, State.ALIVE),
            Rumour("x", 1, State.DEAD),
            Rumour("x", 2, State.SUSPECT, "", "at-x"),
        ]
    )
)
def test_claims_merge_to_the_same_belief_in_every_order(claims: list[Rumour]) -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)
    for claim in [*claims, *claims]:
        node.handle(Heard("y", Heartbeat(1, b"", (claim,))), 0.0)

    assert node.table["x"].rank == (2, State.SUSPECT)
    assert "x" in node.roster


def test_a_direct_heartbeat_clears_nothing_but_a_stale_incarnation() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)
    node.handle(Unreachable("y"), 0.0)

    node.handle(Heard("y", Heartbeat(1, b"", ())), 0.1)
    assert node.table["y"].rank == (1, State.SUSPECT)

    node.handle(Heard("y", Heartbeat(2, b"", ())), 0.2)
    assert node.table["y"].rank == (2, State.ALIVE)


def test_a_peer_whose_long_body_hides_its_heartbeats_is_not_suspected() -> None:
    world = World("ac")
    world.link("ac")
    world.run(until_s=2.0)
    del world.nodes["c"]
    silence_s = world.timing.silence_s

    while world.now_s < 4 * silence_s:
        world.nodes["a"].handle(Active("c"), world.now_s)
        world.run(until_s=world.now_s + silence_s / 2)

    assert world.nodes["a"].table["c"].state is State.ALIVE


def test_time_in_which_a_node_was_busy_does_not_count_against_the_others() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.start(0.0)
    node.handle(LinkUp("y", 1), 0.0)

    node.handle(TimerFired(HEARTBEAT_TIMER), 60.0)
    assert "y" in node.roster

    for second in range(61, 80):
        node.handle(TimerFired(HEARTBEAT_TIMER), float(second))
    assert "y" not in node.roster


def test_the_roster_object_changes_only_when_the_ids_do() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)
    before = node.roster

    node.handle(Unreachable("y"), 0.0)
    assert node.roster is before
    node.handle(LinkDown("y", left=True), 0.0)
    assert node.roster == {"me": ""}


def test_the_roster_hash_does_not_depend_on_the_order() -> None:
    hashes = {roster_hash(order) for order in permutations("abc")}

    assert len(hashes) == 1
    assert hashes != {roster_hash("ab")}


def test_a_fixed_membership_follows_links_and_keeps_its_roster() -> None:
    roster = {"a": "a", "b": "b"}
    node = FixedMembership(roster, frozenset("b"))

    node.handle(LinkDown("b"), 0.0)
    assert node.linked == frozenset()
    node.handle(LinkUp("b", 1), 0.0)
    assert node.linked == {"b"}
    assert node.roster is roster
