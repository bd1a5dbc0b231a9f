"""How long synchronous rounds wait, in virtual time: for the dead, the slow, the irregular, and alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import networkx as nx
import numpy as np
import pytest

import topologies
from p2pfl import registry
from p2pfl.events import Adopt
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from simulations.compute import Compute, compute_from
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.training import add_one, by_function
from tests.simulations.swarms import many_models_swarm

PROTOCOLS = ("gossip_averaging", pytest.param("push_sum", marks=pytest.mark.slow))
NODES = 20
DEAD = "00003"
MESH = topologies.partial_mesh(NODES, degree=4, seed=1)
UNBREAKABLE = Network(latency_s=0.001, break_s=1e9)


@dataclass(eq=False)
class Run:
    """One run of many rounds, and what was adopted in it."""

    protocol: str
    compute_s: float | Compute = 1.0
    graph: nx.Graph = field(default_factory=lambda: MESH)
    network: Network = UNBREAKABLE
    rounds: int = 40
    options: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make = cast(Callable[..., ExchangeProtocol], registry.resolve("protocol", self.protocol))
        self.adopted: list[tuple[str, Adopt, float]] = []
        self.simulator = EventSimulator(
            many_models_swarm(
                self.graph,
                cast(Callable[[Setup], ExchangeProtocol], partial(make, **self.options)),
                np.zeros((len(self.graph), 2)),
                rounds=self.rounds,
            ),
            train=by_function(add_one),
            network=self.network,
            compute_s=self.compute_s,
            watch=lambda member, adopt, now_s: self.adopted.append((member, adopt, now_s)),
        )

    def silence(self, member: str, at_s: float) -> None:
        """All that a member says is lost from now on, and its links stay up."""
        others = [each for each in self.simulator.members if each != member]
        self.simulator.partition_oneway([member], others, at_s=at_s)

    def go(self, until_s: float = 20_000.0) -> "Run":
        self.simulator.run(until_s=until_s)
        return self

    def lost_s(self, usual_s: float) -> list[float]:
        """By how much each round of all but the dead was longer than usual."""
        ends: dict[int, float] = {}
        for member, adopt, now_s in self.adopted:
            if member != DEAD:
                ends[adopt.round] = max(now_s, ends.get(adopt.round, 0.0))
        return [float(each) - usual_s for each in np.diff([0.0, *(ends[key] for key in sorted(ends))])]

    def missing(self, *, of: str = "", but: str = "") -> list[int]:
        """The rounds in which somebody was left out."""
        return [
            adopt.round
            for member, adopt, _ in self.adopted
            for each in adopt.missing
            if (not of or each == of) and but not in (each, member)
        ]

    def merged(self) -> int:
        return sum(len(adopt.merged) for _, adopt, _ in self.adopted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("usual_s", [pytest.param(1.0, marks=pytest.mark.slow), 0.05])
def test_a_neighbour_that_dies_behind_its_link_costs_two_waits_altogether(
    protocol: str, usual_s: float
) -> None:
    run = Run(protocol, usual_s)
    run.silence(DEAD, 9.5 * usual_s)
    run.go()

    lost_s = run.lost_s(usual_s)
    assert len(lost_s) == 40
    assert max(lost_s) < 2.0
    assert sum(lost_s[9:]) < 3.0  # with a fixed deadline: 30 s in each of 31 rounds
    assert max(lost_s[20:]) < 0.1 * usual_s
    assert len(run.missing(of=DEAD)) == 31 * MESH.degree(3)  # and all say so
    assert run.missing(but=DEAD) == []  # who waited for the dead was not taken for dead


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_node_ten_times_slower_but_regular_is_in_every_merge(protocol: str) -> None:
    run = Run(protocol, compute_from(lambda node, _: 10.0 if node == 3 else 1.0)).go()

    assert run.missing() == []
    assert run.merged() == sum(dict(MESH.degree).values()) * 40


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_node_that_becomes_slower_is_left_out_for_some_rounds_and_waited_for_again(protocol: str) -> None:
    becomes_slow = compute_from(lambda node, training: 8.0 if node == 3 and training >= 20 else 1.0)
    run = Run(protocol, becomes_slow, rounds=60).go()

    left_out = run.missing(of=DEAD)
    assert left_out
    assert set(left_out) <= set(range(20, 30))
    assert run.missing(but=DEAD) == []
    assert run.simulator.rounds[DEAD] == 60


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("median_s", "sigma", "rate"),
    [(1.0, 0.5, 0.005), (1.0, 1.0, 0.02), (0.005, 1.0, 0.0), (60.0, 0.1, 0.005)],
)
def test_heavy_tails_and_rounds_of_any_length_leave_hardly_anybody_out(
    protocol: str, median_s: float, sigma: float, rate: float
) -> None:
    compute = compute_from({"distribution": "lognormal", "median": median_s, "sigma": sigma})
    run = Run(protocol, compute, rounds=60).go()

    assert len(run.simulator.finished) == NODES
    out = len(run.missing())
    assert out <= rate * (out + run.merged())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lost_messages_neither_stop_the_rounds_nor_drive_the_nodes_apart(protocol: str) -> None:
    run = Run(protocol, network=Network(latency_s=0.01, loss=0.2), rounds=60)
    apart: list[int] = []
    for at_s in range(10, 60, 10):
        run.simulator.run(until_s=float(at_s))
        apart.append(max(run.simulator.rounds.values()) - min(run.simulator.rounds.values()))
    run.go()

    assert max(apart) <= 4
    assert len(run.simulator.finished) == NODES
    assert max(now_s for *_, now_s in run.adopted) < 60 * 4.0  # with deadlines of 30 s alone: 15 s a round


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_node_without_a_link_does_not_use_its_rounds_up(protocol: str) -> None:
    run = Run(protocol, graph=topologies.line(3), rounds=30)
    middle, end = run.simulator.members[1:]
    run.simulator.crash(middle, at_s=5.5)
    run.simulator.run(until_s=60.0)
    assert run.simulator.rounds[end] <= 5 + 60 // 31 + 1
    run.simulator.restart(middle)
    run.go()

    assert len(run.simulator.finished) == 3
    again = [adopt for member, adopt, now_s in run.adopted if member == end and now_s > 61]
    assert sum(middle in adopt.merged for adopt in again) >= 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_a_deadline_nobody_says_that_it_waits_and_nobody_is_left_out(protocol: str) -> None:
    compute = compute_from({"distribution": "lognormal", "median": 1.0, "sigma": 1.0})
    run = Run(protocol, compute, graph=topologies.ring(5), rounds=20, options={"round_timeout_s": 0.0}).go()

    messages = sum(run.simulator.message_counts.values())
    exchanges = 1 if protocol == "gossip_averaging" else 2
    assert run.missing() == []
    assert messages <= 20 * exchanges * 10 + 20  # and marks
