"""Membership on bad networks and over long times: nobody is believed dead for ever, nothing grows."""

from itertools import pairwise

import pytest

from p2pfl.events import TimerFired
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    MAX_LEAP,
    Heard,
    Heartbeat,
    LinkDown,
    LinkUp,
    Membership,
    Rumour,
    State,
    Tell,
    Timing,
)
from p2pfl.peer.linking import ring_links
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from tests.examples import seeds
from tests.p2pfl.membership_world import Weather, World

RING = [*pairwise("abcdef"), ("f", "a")]
BROKEN_S = 1200.0


def crowd(members: int, *, seed: int = 0) -> World:
    """Linked as daemons link a large network, without a graph."""
    names = [f"m{number:03d}" for number in range(members)]
    world = World(names, weather=Weather(loss=0.02), seed=seed)
    if members <= 16:
        world.link_all()
    else:
        rings = ring_links(names)
        world.link(*((a, b) for a in names for b in sorted(rings[a]) if a < b))
    return world


@pytest.mark.parametrize("seed", range(20))
def test_a_member_that_is_back_is_believed_alive_whatever_is_lost(seed: int) -> None:
    come_back(seed)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", seeds(1, nightly=20))
def test_a_member_that_is_back_is_believed_alive_in_every_hundred_runs(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        come_back(seed)


def come_back(seed: int) -> None:
    """On a ring every rumour has two ways alone, and a fifth of all heartbeats is lost."""
    world = World("abcdef", weather=Weather(loss=0.2), seed=seed)
    world.link(*RING)
    world.run(until_s=5.0)
    world.kill("b")
    world.run(until_s=30.0)
    world.begin("b", incarnation=2)
    world.link("ab", "bc")
    world.run(until_s=60.0)
    assert world.agrees, f"seed {seed}: {world.rosters()}"


def test_who_is_believed_dead_and_speaks_is_told_so() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)
    node.start(0.0)
    node.handle(TimerFired(HEARTBEAT_TIMER), 1.0)
    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("y", 1, State.DEAD),))), 1.1)
    node.handle(TimerFired(HEARTBEAT_TIMER), 1.15)

    for beat in range(10):
        now_s = 2.0 + beat
        node.handle(Heard("y", Heartbeat(1, b"")), now_s)
        told = [o for o in node.handle(TimerFired(HEARTBEAT_TIMER), now_s + 0.05) if isinstance(o, Tell)]
        assert Rumour("y", 1, State.DEAD) in told[0].heartbeat.rumours


def test_a_forged_rumour_does_not_use_up_the_incarnations_of_a_member() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)

    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("me", 2 + MAX_LEAP, State.DEAD),))), 0.0)
    assert node.incarnation == 1
    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("me", 1 + MAX_LEAP, State.DEAD),))), 0.0)
    assert node.incarnation == 2 + MAX_LEAP


def test_a_day_of_churn_with_ever_new_members_leaves_the_table_small() -> None:
    world = World("ab", Timing.of(30.0))
    world.link("ab")
    largest = 0
    for number in range(24 * 12):  # one every five minutes, here for one
        name = f"x{number}"
        world.begin(name, incarnation=1)
        world.link(("a", name))
        world.run(until_s=300.0 * number + 60)
        world.kill(name, says_goodbye=number % 2 == 0)
        world.run(until_s=300.0 * (number + 1))
        largest = max(largest, *world.nodes["a"].sizes().values(), *world.nodes["b"].sizes().values())

    assert largest <= 2 + 2 * 12 + 2  # who died within the hour, or was heard to have
    world.run(until_s=world.now_s + 3 * 3600)
    assert set(world.nodes["a"].table) == set(world.nodes["b"].table) == {"a", "b"}


def test_a_tombstone_withstands_an_old_rumour_and_is_not_handed_on_for_ever() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)
    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("x", 1, State.ALIVE),))), 0.0)
    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("x", 1, State.DEAD), Rumour("z", 1, State.DEAD)))), 0.1)
    node.handle(
        Heard("y", Heartbeat(1, b"", (Rumour("x", 1, State.ALIVE), Rumour("z", 1, State.ALIVE)))), 9.0
    )
    assert list(node.roster) == ["me", "y"]

    (told,) = [o for o in node.handle(LinkUp("w", 1), 9.0) if isinstance(o, Tell)]

    assert {r.member for r in told.heartbeat.rumours} == {"me", "y", "x", "w"}  # of z this node only heard


def test_who_stood_still_for_long_forgets_whom_the_others_may_have_buried() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.start(0.0)
    node.handle(LinkUp("y", 1), 0.0)
    node.handle(Heard("y", Heartbeat(1, b"", (Rumour("x", 1, State.ALIVE),))), 0.0)

    node.handle(TimerFired(HEARTBEAT_TIMER), Timing().tombstone_s)

    assert list(node.roster) == ["me", "y"]


@pytest.mark.parametrize("ways", [[("a", "b")], [("a", "b"), ("b", "a")]])
def test_one_broken_path_of_a_full_mesh_kills_nobody_without_any_indirect_probe(
    ways: list[tuple[str, str]],
) -> None:
    """Suspicions travel round the broken path and are refuted: no false death, few suspicions."""
    world = World("abcdef", weather=Weather(loss=0.02), seed=3)
    world.link_all()
    world.run(until_s=10.0)
    world.blocked.update(ways)
    false_deaths = 0
    while world.now_s < BROKEN_S:
        world.run(until_s=world.now_s + 1.0)
        false_deaths += not world.agrees

    assert false_deaths == 0
    assert sum(node.incarnation for node in world.nodes.values()) < 2 * BROKEN_S / (8 * 5.0) + 20


def test_a_link_that_nobody_needs_any_more_raises_no_suspicion() -> None:
    node = Membership(Rumour("me", 1, State.ALIVE))
    node.handle(LinkUp("y", 1), 0.0)

    node.handle(LinkDown("y", is_unneeded=True), 1.0)

    assert node.table["y"].state is State.ALIVE
    assert node.linked == frozenset()


@pytest.mark.parametrize(
    ("members", "death_s", "join_s"),
    [(5, 4.0, 0.3), (20, 5.0, 0.5), pytest.param(100, 7.0, 1.0, marks=pytest.mark.slow)],
)
def test_a_death_and_a_join_are_known_to_all_within_seconds(
    members: int, death_s: float, join_s: float
) -> None:
    for seed in range(3):
        died_s, joined_s = times_to_agree(members, seed)
        assert died_s <= death_s, f"seed {seed}: {died_s}"
        assert joined_s <= join_s, f"seed {seed}: {joined_s}"


def times_to_agree(members: int, seed: int) -> tuple[float, float]:
    """Seconds from a crash, and from a join with two links, until all rosters are equal and right."""
    world = crowd(members, seed=seed)
    world.run(until_s=10.3)
    world.kill("m001")
    died_s = until_agreed(world)
    world.run(until_s=world.now_s + 10)
    world.begin("new", incarnation=1)
    world.link(("new", "m000"), ("new", "m002"))
    return died_s, until_agreed(world)


def until_agreed(world: World) -> float:
    """Seconds from now until all believe in those who live."""
    begun_s = world.now_s
    while not world.agrees:
        assert world.now_s - begun_s < 60
        world.run(until_s=world.now_s + 0.05)
    return world.now_s - begun_s


@pytest.mark.parametrize(
    ("members", "bytes_per_s"), [(20, 900), pytest.param(100, 900, marks=pytest.mark.slow)]
)
def test_a_quiet_network_costs_each_member_less_than_a_kilobyte_a_second(
    members: int, bytes_per_s: float
) -> None:
    world = crowd(members)
    world.weather = Weather()
    world.run(until_s=60.0)
    told, rumours = world.told, world.rumours_told
    world.run(until_s=120.0)

    frame = encode_heartbeat(Heartbeat(1, bytes(8)))
    assert world.rumours_told == rumours
    assert (world.told - told) / 60 / members * len(frame) < bytes_per_s


@pytest.mark.slow
def test_each_side_of_a_partition_notices_also_those_to_whom_nobody_there_had_a_link() -> None:
    """Of forty members each is dialled by those beside it in the rings of whatever roster is left."""
    world = crowd(40)
    world.run(until_s=5.0)
    sides = [sorted(world.nodes)[::2], sorted(world.nodes)[1::2]]
    of = {member: number for number, side in enumerate(sides) for member in side}
    world.cut(*(sorted(pair) for pair in sorted(map(sorted, world.links)) if of[pair[0]] != of[pair[1]]))
    while world.now_s < 60.0:
        dial_all(world, of)
        world.run(until_s=world.now_s + 1.0)
    assert {tuple(node.roster) for node in world.nodes.values()} == set(map(tuple, sides))

    world.link((sides[0][0], sides[1][0]))
    world.run(until_s=65.0)
    assert world.agrees


def dial_all(world: World, side_of: dict[str, int]) -> None:
    """Everybody tries to have the links that its roster asks for."""
    for name, node in world.nodes.items():
        for other in sorted(ring_links(list(node.roster))[name] - node.linked):
            if side_of[name] == side_of[other]:
                world.link((name, other))
            else:
                world.tell_unreachable(name, other)
