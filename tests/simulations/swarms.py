"""Small swarms for tests: a toy protocol that shows what a driver did, and graphs of two to five nodes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import networkx as nx
import numpy as np
from numpy.typing import NDArray

import topologies
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean
from p2pfl.events import (
    Adopt,
    Effect,
    Event,
    Finish,
    Message,
    PeersChanged,
    Received,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
    View,
)
from p2pfl.model import Model, Snapshot
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from simulations.swarm import Swarm, make_swarm, member_ids


class Chatter:
    """Each second: train, adopt, store, tell everybody with a link; finishes after its rounds."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = {"word": (1, "float32")}

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._model = setup.model
        self._round = 0
        self._live: frozenset[str] = frozenset()
        self.heard: list[tuple[float, str, int]] = []
        self.lives: list[frozenset[str]] = []

    @staticmethod
    def default_rounds(nodes: int) -> int:
        return nodes

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case PeersChanged(View(live=live)):
                self._live = live
                self.lives.append(live)
            case Started() | TimerFired("next"):
                return [Train(self._model)] if self._round < self._setup.rounds else []
            case Trained(model):
                return self._tell(model)
            case Received(sender, message):
                self.heard.append((now_s, sender, message.round))
            case _:
                pass
        return []

    def _tell(self, model: Model) -> list[Effect]:
        self._model, self._round = model, self._round + 1
        word = Message("word", self._round, model)
        effects: list[Effect] = [Adopt(model, self._round), Store()]
        effects += [Send(to, word, replaces="word") for to in sorted(self._live)]
        effects.append(SetTimer("next", 5.0))  # replaced by the next line
        effects.append(SetTimer("next", 0.0))
        return [*effects, Finish("done")] if self._round == self._setup.rounds else effects

    def snapshot(self) -> Snapshot:
        return Snapshot({"round": self._round, "age": self._model.age}, {"params": self._model.params})

    def restore(self, snapshot: Snapshot) -> None:
        params, age = snapshot.arrays["params"], snapshot.values["age"]
        done = snapshot.values["round"]
        assert isinstance(age, int)
        assert isinstance(done, int)
        self._model, self._round = Model(params.astype(np.float32), age), done


def swarm_of(
    nodes: int,
    make_protocol: Callable[[Setup], ExchangeProtocol],
    *,
    rounds: int,
    parameters: int = 1,
) -> Swarm:
    """A full mesh whose model i starts at i in every parameter."""
    X = np.repeat(np.arange(nodes, dtype=np.float32)[:, np.newaxis], parameters, axis=1)
    return many_models_swarm(topologies.full_mesh(nodes), make_protocol, X, rounds=rounds)


def one_model_swarm(
    graph: nx.Graph,
    make_protocol: Callable[[Setup], ExchangeProtocol],
    params: NDArray[np.float32] | NDArray[np.float64],
    *,
    rounds: int,
    seed: int = 0,
) -> Swarm:
    """Nodes that all start from one model."""
    X = np.tile(params.astype(np.float32), (len(graph), 1))
    return many_models_swarm(graph, make_protocol, X, rounds=rounds, seed=seed)


def many_models_swarm(
    graph: nx.Graph,
    make_protocol: Callable[[Setup], ExchangeProtocol],
    X: NDArray[np.float32] | NDArray[np.float64],
    *,
    rounds: int,
    seed: int = 0,
) -> Swarm:
    """Node i starts from row i of X."""
    members = member_ids(len(graph))
    return make_swarm(
        members,
        topologies.static(graph),
        make_protocol,
        models={member: Model(X[i].astype(np.float32)) for i, member in enumerate(members)},
        rounds=rounds,
        aggregate=partial(aggregate, mean),
        seed=seed,
    )
