"""One-way trust as a property: only accepted models are merged, and none goes where it may not."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import networkx as nx
import numpy as np
import pytest

import topologies
from p2pfl import registry
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.membership import FixedMembership
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.roster import GraphWiring
from p2pfl.trust import Trust
from simulations.event_simulator import EventSimulator
from simulations.network import Network
from simulations.swarm import Swarm, member_ids
from simulations.training import by_function
from simulations.trust_lists import TrustLists
from tests.p2pfl.stamps import Observer, WatchedNode

PROTOCOLS = registry.names("protocol")
FAST, ALL = 25, 500  # runs per protocol; of four protocols 100, and 2,000
PURPOSE = 0x5237
END_S = 240.0


def some(random: np.random.Generator, members: tuple[str, ...], share: float) -> frozenset[str]:
    return frozenset(member for member in members if random.random() < share)


def random_lists(random: np.random.Generator, members: tuple[str, ...]) -> Trust:
    """Lists that nobody has agreed on with anybody; observers are let in without being trusted."""
    share = random.uniform(0.2, 0.9)
    return Trust(
        accept_from=some(random, members, share) if random.random() < 0.9 else None,
        share_with=some(random, members, random.uniform(0.2, 0.9)) if random.random() < 0.85 else None,
        observers=some(random, members, random.uniform(0, 1)),
        deny=some(random, members, 0.1) if random.random() < 0.3 else frozenset(),
    )


def options_of(random: np.random.Generator, protocol: str) -> dict[str, object]:
    match protocol:
        case "push_sum":
            return {"mixing_rounds": 1, "round_timeout_s": 4.0}
        case "gossip_averaging":
            return {"round_timeout_s": 4.0}
        case "random_walk":
            return {"ack_timeout_s": 2.0, "rule": str(random.choice(["uniform", "metropolis_hastings"]))}
        case _:
            return {"ack_timeout_s": 2.0}


class Course:
    """One run, a function of protocol and seed."""

    def __init__(self, protocol: str, seed: int, *, open_gate: str = "") -> None:
        self.open_gate = open_gate
        self.random = random = np.random.default_rng([seed, PROTOCOLS.index(protocol), PURPOSE])
        self.members = member_ids(int(random.integers(2, 13)))
        self.observer = Observer(self.members, protocol)
        self.lists = TrustLists({member: random_lists(random, self.members) for member in self.members})
        self.graph = self._graph()
        self.is_lied_to = random.random() < 0.5
        make = cast(Callable[..., ExchangeProtocol], registry.resolve("protocol", protocol))
        self.make = partial(make, **options_of(random, protocol))
        # Trust is the graph in half of the runs: also in protocols that are not meant for it.
        self.wiring = (
            None if random.random() < 0.5 else GraphWiring(self.members, topologies.static(self.graph))
        )
        self.rounds = 4 if protocol in ("gossip_averaging", "push_sum") else 3 * len(self.members)
        self.roster = {member: member for member in self.members}
        self.starts = dict.fromkeys(self.members, 0)
        everybody = {m: tuple(other for other in self.members if other != m) for m in self.members}
        self.simulator = EventSimulator(
            Swarm(self.members, everybody, self._node, lists=self.lists),
            train=by_function(self.observer.train),
            network=self._network(),
            seed=seed,
            compute_s=float(random.uniform(0.1, 2.0)),
        )
        self._plan()

    def _graph(self) -> nx.DiGraph:
        """Any digraph, whether or not it holds together."""
        nodes = len(self.members)
        hears = self.random.random((nodes, nodes)) < self.random.uniform(0.15, 0.8)
        np.fill_diagonal(hears, val=False)
        return nx.from_numpy_array(hears, create_using=nx.DiGraph)

    def _network(self) -> Network:
        if self.random.random() < 0.2:
            return Network()
        return Network(
            latency_s=0.05,
            jitter_s=float(self.random.uniform(0, 1.5)),
            loss=float(self.random.uniform(0, 0.3)),
            duplicate=0.1,
            reorder=0.1,
        )

    def _node(self, member: str, linked: frozenset[str]) -> WatchedNode:
        self.starts[member] += 1
        setup = Setup(
            member,
            self.members.index(member),
            self.observer.start(),
            0,
            self.rounds,
            partial(aggregate, mean),
            start=self.starts[member],
        )
        node = WatchedNode(
            member,
            protocol=self.make(setup),
            membership=FixedMembership(self.roster, linked),
            wiring=None if self.wiring is None else lambda _: cast(GraphWiring, self.wiring),
            trust=self.lists.of(member),
            min_members=1,
            settle_s=1.0,
        )
        node.watch(self.observer, is_lied_to=self.is_lied_to)
        if self.open_gate:
            is_shared = self.open_gate == "share_with"
            node.trust = replace(
                node.trust,
                accept_from=node.trust.accept_from if is_shared else None,
                share_with=None if is_shared else node.trust.share_with,
                deny=frozenset(),
            )
        return node

    def _plan(self) -> None:
        """Change lists, crash and come back, at any times."""
        for _ in range(self.random.integers(2, 9)):
            member = str(self.random.choice(self.members))
            self.simulator.change_trust(
                member, random_lists(self.random, self.members), at_s=self.random.uniform(0, 15)
            )
        for _ in range(self.random.integers(0, 3)):
            member, at_s = str(self.random.choice(self.members)), self.random.uniform(0, 10)
            self.simulator.crash(member, at_s=at_s)
            self.simulator.restart(member, at_s=at_s + self.random.uniform(0.1, 5))

    def run(self) -> Observer:
        self.simulator.run(until_s=END_S)
        return self.observer


def run_all(protocol: str, seeds: range) -> tuple[int, int]:
    """Merges, and arrivals that had to be kept out, of all runs; a failure names its seed."""
    merged = unwanted = 0
    for seed in seeds:
        try:
            seen = Course(protocol, seed).run()
        except AssertionError as error:
            raise AssertionError(f"{protocol}, seed {seed}: {error}") from error
        merged, unwanted = merged + seen.merged, unwanted + seen.unwanted
    return merged, unwanted


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_accepted_models_move_a_model_and_none_leaves_for_others(protocol: str) -> None:
    merged, unwanted = run_all(protocol, range(FAST))

    assert merged > 2 * FAST
    assert unwanted > FAST  # or the gates had nothing to do


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_accepted_models_move_a_model_in_many_runs(protocol: str) -> None:
    merged, unwanted = run_all(protocol, range(FAST, FAST + ALL))

    assert merged > 2 * ALL
    assert unwanted > ALL


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("gate", "words"), [("accept_from", "whom it does not accept"), ("share_with", "does not share")]
)
def test_without_a_gate_the_observer_sees_what_it_prevents(protocol: str, gate: str, words: str) -> None:
    breaches = []
    for seed in range(10):
        try:
            Course(protocol, seed, open_gate=gate).run()
        except AssertionError as error:
            breaches.append(str(error))

    assert any(words in breach for breach in breaches)
