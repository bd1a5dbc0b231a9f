"""Twenty nodes, hours of virtual time, and everything that may happen to them: a schedule by seed."""

import gc
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.membership import Heard, LinkDown, LinkUp
from p2pfl.model import Model
from p2pfl.node import Node, NodeEffect, NodeInput
from p2pfl.protocols.gossip_averaging import GossipAveraging
from p2pfl.roster import GraphWiring
from simulations.event_simulator import EventSimulator
from simulations.gossip import Gossip, make_gossip_swarm
from simulations.network import Network
from simulations.swarm import Swarm, member_ids
from simulations.training import add_one, by_function

NODES = 20
PURPOSE = 0x4348414F
QUIET_BEATS = 240  # heartbeats without a disturbance, in the middle and at the end
SKEW_S = 7200.0  # what the clock of a machine shows at the start of the run, at most
DRIFT = 1e-3  # by which it runs faster or slower, at most
NOT_FOLLOWED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, GraphWiring, np.ndarray)


class Ordeal:
    """What nodes suffer beside the network: pauses, and clocks of their own; and a hash of all they hear."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng([seed, PURPOSE])
        self.paused_until_s: dict[str, float] = {}
        self.clocks: dict[str, tuple[float, float]] = {}
        self.hash = sha256()
        self.events = 0

    def clock(self, member: str, now_s: float) -> float:
        """What the member's own clock shows."""
        if member not in self.clocks:
            skew_s, drift = self.random.random(2).tolist()
            self.clocks[member] = skew_s * SKEW_S, 1 + (2 * drift - 1) * DRIFT
        skew_s, rate = self.clocks[member]
        return skew_s + rate * now_s

    def note(self, member: str, event: NodeInput, now_s: float) -> None:
        """An event is handled."""
        self.events += 1
        peer = event.peer if isinstance(event, Heard | LinkUp | LinkDown) else ""
        self.hash.update(f"{now_s!r} {member} {type(event).__name__} {peer}\n".encode())


class PausableNode:
    """A node that stands still at times: what comes meanwhile waits, and is handled late."""

    def __init__(self, member: str, node: Node, ordeal: Ordeal) -> None:
        self._member = member
        self._node = node
        self._ordeal = ordeal
        self._held: deque[NodeInput] = deque()

    def __getattr__(self, name: str) -> object:
        return getattr(self._node, name)

    def handle(self, event: NodeInput, now_s: float) -> list[NodeEffect]:
        """As the node does, when it does."""
        self._held.append(event)
        if now_s < self._ordeal.paused_until_s.get(self._member, 0.0):
            return []
        effects: list[NodeEffect] = []
        while self._held:
            waiting = self._held.popleft()
            self._ordeal.note(self._member, waiting, now_s)
            effects += self._node.handle(waiting, self._ordeal.clock(self._member, now_s))
        return effects


@dataclass(frozen=True, slots=True)
class Chaos:
    """How long, how often a heartbeat, and how many disturbances."""

    hours: float
    heartbeat_s: float
    disturbances: int

    @property
    def quiet_s(self) -> float:
        return QUIET_BEATS * self.heartbeat_s

    @property
    def end_s(self) -> float:
        return self.hours * 3600


def suffering(swarm: Swarm, ordeal: Ordeal) -> Swarm:
    """The same nodes, able to stand still."""

    def make_node(member: str, linked: frozenset[str]) -> Node:
        return PausableNode(member, swarm.make_node(member, linked), ordeal)  # type: ignore[return-value]

    return replace(swarm, make_node=make_node)


def make_run(chaos: Chaos, seed: int) -> tuple[EventSimulator, Ordeal]:
    """A run that is ready to go, with all that will happen to it."""
    members = member_ids(NODES)
    swarm = make_gossip_swarm(
        members,
        topologies.static(topologies.partial_mesh(NODES, 4, seed=seed)),
        GossipAveraging,
        models={member: Model(np.full(4, i, np.float32)) for i, member in enumerate(members)},
        rounds=10**6,
        aggregate=partial(aggregate, mean),
        seed=seed,
        gossip=Gossip(heartbeat_s=chaos.heartbeat_s),
    )
    ordeal = Ordeal(seed)
    network = Network(
        latency_s=0.05, jitter_s=0.1, loss=0.02, duplicate=0.03, reorder=0.02, reorder_delay_s=30.0
    )
    simulator = EventSimulator(
        suffering(swarm, ordeal),
        train=by_function(add_one),
        network=network,
        seed=seed,
        compute_s=60 * chaos.heartbeat_s,
    )
    half_s = chaos.end_s / 2
    for from_s in (60.0, half_s):
        for _ in range(chaos.disturbances // 2):
            at_s = float(ordeal.random.uniform(from_s, from_s + half_s - 60 - chaos.quiet_s))
            disturb(simulator, ordeal, at_s=at_s, end_s=from_s + half_s - 60 - chaos.quiet_s)
    return simulator, ordeal


def disturb(simulator: EventSimulator, ordeal: Ordeal, *, at_s: float, end_s: float) -> None:
    """One thing that happens at ``at_s`` and is over by ``end_s``."""
    random, members = ordeal.random, simulator.members
    over_s = (
        float(random.uniform(at_s, end_s))
        if random.random() < 0.2
        else min(at_s + float(random.uniform(1, 400)), end_s)
    )
    chosen = [members[i] for i in random.permutation(NODES)[: int(random.integers(1, NODES // 2))]]
    match int(random.integers(5)):
        case 0:
            for member in chosen[:6]:
                simulator.crash(member, at_s=at_s)
                simulator.restart(member, at_s=over_s)
        case 1:
            simulator.call(partial(_pause, ordeal, chosen[:4], over_s), at_s=at_s)
        case 2:
            simulator.partition([chosen], at_s=at_s, heal_s=over_s)
        case 3:
            others = [member for member in members if member not in chosen]
            simulator.partition_oneway(chosen, others, at_s=at_s, heal_s=over_s)
        case _:
            simulator.leave(chosen[0], at_s=at_s)
            simulator.join(chosen[0], at_s=over_s)


def _pause(ordeal: Ordeal, members: list[str], until_s: float) -> None:
    ordeal.paused_until_s.update(dict.fromkeys(members, until_s))


def sizes(simulator: EventSimulator) -> dict[str, int]:
    """Entries of all containers that can be reached from each node, and what the simulator itself holds."""
    found = {member: entries(simulator.node(member)._node) for member in simulator.members}  # type: ignore[attr-defined]
    found["agenda"] = len(simulator._agenda._heap)
    return found


def entries(root: object) -> int:
    """Entries of every container behind an object, those of shared values and code not counted."""
    total, seen, waiting = 0, set[int](), [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, NOT_FOLLOWED):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | deque):
            total += len(thing)
        waiting += gc.get_referents(thing)
    return total


def rosters(simulator: EventSimulator) -> set[tuple[str, ...]]:
    """What all members believe; () is somebody who is down."""
    views = [simulator.node(m).view if simulator.is_up(m) else None for m in simulator.members]
    return {() if view is None else tuple(sorted(view.members)) for view in views}
