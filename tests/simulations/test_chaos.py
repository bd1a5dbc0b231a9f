"""Hours in which everything goes wrong: every invariant holds, nothing grows, a seed repeats it."""

import pytest

from simulations.event_simulator import EventSimulator
from tests.examples import seeds
from tests.simulations.chaos import NODES, Chaos, make_run, rosters, sizes

pytestmark = pytest.mark.slow

SECONDS_APART = Chaos(hours=2, heartbeat_s=1.0, disturbances=40)
HALF_MINUTES_APART = Chaos(hours=24, heartbeat_s=30.0, disturbances=60)
SEEDS = seeds(3, nightly=20)
GROWTH = 1.5  # windows of lags, full or begun anew, make 1.3; what grows with time would double


def survive(chaos: Chaos, seed: int) -> str:
    """Run to the end, look twice at a quiet moment; the hash of all events."""
    simulator, ordeal = make_run(chaos, seed)
    simulator.run(until_s=chaos.end_s / 2 - 1)
    half_way, rounds = quiet(simulator), dict(simulator.rounds)
    simulator.run(until_s=chaos.end_s - 1)
    at_last = quiet(simulator)
    assert sum(at_last.values()) <= GROWTH * sum(half_way.values())
    assert all(at_last[member] <= 2 * half_way[member] for member in half_way)
    assert sum(simulator.rounds.values()) > sum(rounds.values()) + 5 * NODES
    return ordeal.hash.hexdigest()


def quiet(simulator: EventSimulator) -> dict[str, int]:
    """Disturbances are over for now: all are there, and all know it."""
    assert rosters(simulator) == {simulator.members}
    return sizes(simulator)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_hours_of_chaos_with_a_heartbeat_each_second_end_well(seed: int) -> None:
    survive(SECONDS_APART, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_of_chaos_with_two_heartbeats_a_minute_ends_well(seed: int) -> None:
    survive(HALF_MINUTES_APART, seed)


@pytest.mark.parametrize("chaos", [SECONDS_APART, HALF_MINUTES_APART])
def test_the_same_seed_gives_the_same_chaos(chaos: Chaos) -> None:
    """A quarter of the time is enough to tell."""
    short = Chaos(chaos.hours / 4, chaos.heartbeat_s, chaos.disturbances)
    found = []
    for _ in range(2):
        simulator, ordeal = make_run(short, seed=7)
        simulator.run(until_s=short.end_s)
        found.append(
            (
                ordeal.hash.hexdigest(),
                ordeal.events,
                {m: x.params.tobytes() for m, x in simulator.models.items()},
            )
        )
    assert found[0] == found[1]
    assert found[0][1] > NODES * 1000
