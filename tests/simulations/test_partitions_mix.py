"""What two sides of a partition have learnt apart is in everybody's model after the heal."""

from functools import partial

import numpy as np
import pytest

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.model import Model
from p2pfl.protocols.gossip_averaging import GossipAveraging
from simulations.compute import compute_from
from simulations.event_simulator import EventSimulator
from simulations.gossip import Gossip, make_gossip_swarm
from simulations.network import Network
from simulations.swarm import member_ids
from simulations.training import by_function

NODES = 5
MEMBERS = member_ids(NODES)
CUT_S, HEAL_S, END_S = 10.0, 40.0, 75.0


class Run:
    """Nodes that count, each in a place of its own, the trainings of the time in which they were apart."""

    def __init__(self, few: int, speed_s: float) -> None:
        self.trainings = np.zeros(NODES)
        swarm = make_gossip_swarm(
            MEMBERS,
            topologies.static(topologies.full_mesh(NODES)),
            GossipAveraging,
            models={member: Model(np.zeros(NODES, np.float32)) for member in MEMBERS},
            rounds=10**6,
            aggregate=partial(aggregate, mean),
            gossip=Gossip(),
        )
        self.simulator = EventSimulator(
            swarm,
            train=by_function(self.train),
            network=Network(latency_s=0.01),
            compute_s=compute_from(lambda node, _: speed_s if node < few else 1.0),
        )
        self.simulator.partition([MEMBERS[:few], MEMBERS[few:]], at_s=CUT_S, heal_s=HEAL_S)

    def train(self, member: str, model: Model) -> Model:
        params = model.params.copy()
        if CUT_S < self.simulator.now_s < HEAL_S:
            params[MEMBERS.index(member)] += 1
            self.trainings[MEMBERS.index(member)] += 1
        return Model(params, model.age + 1, model.weight)

    def learnt(self, by: slice) -> list[float]:
        """How much of what these have learnt apart is in the model of each."""
        return [float(self.simulator.models[member].params[by].sum()) for member in MEMBERS]


@pytest.mark.parametrize(("few", "speed_s"), [(2, 0.3), (2, 3.0), (1, 0.1)])
def test_after_a_heal_all_models_hold_what_either_side_has_learnt(few: int, speed_s: float) -> None:
    run = Run(few, speed_s)
    run.simulator.run(until_s=HEAL_S - 0.5)
    rounds = run.simulator.rounds
    assert abs(rounds[MEMBERS[0]] - rounds[MEMBERS[-1]]) > 8
    run.simulator.run(until_s=END_S)

    assert max(rounds.values()) - min(rounds.values()) <= 2
    for side in slice(0, few), slice(few, NODES):
        learnt, everything = run.learnt(side), run.trainings[side].sum() / NODES
        assert min(learnt) > 0.5 * everything  # nobody's work is thrown away
        assert max(learnt) < 2.0 * everything
        assert np.ptp(learnt) < 0.1 * everything
