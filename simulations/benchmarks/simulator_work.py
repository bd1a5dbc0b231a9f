"""The work that the simulators are measured with, and the plain loops that they are measured against.

A node-round: a node trains 2 SGD steps of batch 32 on its 64 digits samples, drawn with replacement, and
averages with its 4 neighbours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import topologies
from p2pfl.data.dataset import Samples
from p2pfl.data.digits import CLASSES, PIXELS, digits
from p2pfl.learning.task import Task
from simulations.event_engine import run_event
from simulations.experiment import Experiment
from simulations.result import Result
from simulations.setting import Setting
from simulations.vectorised_engine import run_vectorised

HIDDEN, DEGREE, SAMPLES, BATCH, STEP, SEED = 32, 4, 64, 32, 0.1, 1
DRAW_PURPOSE = 0x44524157

ENGINES: Mapping[str, Callable[[Setting, int], Result]] = MappingProxyType(
    {"vectorised": run_vectorised, "event": run_event}
)


def multilayer_perceptron() -> nn.Module:
    """64-32-10: 2410 parameters."""
    return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


def softmax() -> nn.Module:
    """Regression: 650 parameters."""
    return nn.Linear(PIXELS, CLASSES)


MODELS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"mlp": multilayer_perceptron, "softmax": softmax}
)


def draws(samples: Samples, parts: int, seed: int) -> list[NDArray[np.int64]]:
    """A partition for more nodes than there are rows: 64 rows each, drawn with replacement."""
    random = np.random.default_rng([seed, DRAW_PURPOSE])
    return list(random.integers(len(samples), size=(parts, SAMPLES)))


def experiment(engine: str, model: str, nodes: int, *, rounds: int) -> Experiment:
    """The work as anybody would write it down."""
    task = Task(
        "benchmark", module=MODELS[model], dataset=digits, step=STEP, local_epochs=1, batch_size=BATCH
    )
    return Experiment(
        topology={"name": "partial_mesh", "nodes": nodes, "degree": DEGREE},
        task=task,
        partition=f"{__name__}:draws",
        engine=engine,
        rounds=rounds,
        seed=SEED,
        evaluate_every=0,
        evaluate_nodes=1,
    )


def seconds_of_engine(engine: str, model: str, nodes: int, *, rounds: int) -> float:
    """What an engine needs for so many rounds, after one of practice; the setting is made before."""
    practice, setting = (experiment(engine, model, nodes, rounds=some).setting() for some in (1, rounds))
    ENGINES[engine](practice, 0)
    start_s = perf_counter()
    ENGINES[engine](setting, 0)
    return perf_counter() - start_s


def seconds_of_loop(model: str, nodes: int, *, rounds: int, is_lean: bool = False) -> float:
    """The same by a plain loop, after some practice on the first nodes."""
    loop = PlainLoop(model, nodes, is_lean=is_lean)
    loop.train(range(min(nodes, 10)))
    start_s = perf_counter()
    for _ in range(rounds):
        loop.train(range(nodes))
        loop.average()
    return perf_counter() - start_s


class PlainLoop:
    """A list of modules, optimisers and data loaders, trained one after the other.

    It is what one writes on a first afternoon, with what torch offers for each of these.  A lean loop takes
    its mini-batches out of the node's tensors instead of having a data loader put them together.
    """

    def __init__(self, model: str, nodes: int, *, is_lean: bool = False) -> None:
        torch.manual_seed(SEED)
        first = MODELS[model]()
        self.models = [MODELS[model]() for _ in range(nodes)]
        for module in self.models:
            module.load_state_dict(first.state_dict())
        self.optimizers = [torch.optim.SGD(module.parameters(), lr=STEP) for module in self.models]
        data = digits().train
        held = [
            (torch.from_numpy(data.inputs[rows]), torch.from_numpy(data.labels[rows]))
            for rows in draws(data, nodes, SEED)
        ]
        make: Callable[..., Iterable[tuple[Tensor, Tensor]]] = _Shuffled if is_lean else _loader
        self.batches = [make(*pair) for pair in held]
        graph = topologies.partial_mesh(nodes, DEGREE, SEED)
        self.neighbours = [list(graph[node]) for node in range(nodes)]

    def train(self, nodes: range) -> None:
        """An epoch on each node's samples."""
        for node in nodes:
            for inputs, labels in self.batches[node]:
                self.optimizers[node].zero_grad()
                loss = functional.cross_entropy(self.models[node](inputs), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                self.optimizers[node].step()

    @torch.no_grad()
    def average(self) -> None:
        """Everybody takes the mean of the own model and the neighbours'."""
        states = [module.state_dict() for module in self.models]
        averaged = []
        for node, others in enumerate(self.neighbours):
            near = [states[node], *(states[other] for other in others)]
            averaged.append({name: _mean([state[name] for state in near]) for name in states[node]})
        for module, state in zip(self.models, averaged, strict=True):
            module.load_state_dict(state)


def _mean(tensors: list[Tensor]) -> Tensor:
    return sum(tensors[1:], start=tensors[0]) / len(tensors)


def _loader(inputs: Tensor, labels: Tensor) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(inputs, labels), batch_size=BATCH, shuffle=True)


class _Shuffled:
    """Mini-batches in a new order at each pass."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self._pair = inputs, labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, labels = self._pair
        for rows in torch.split(torch.randperm(SAMPLES), BATCH):
            yield inputs[rows], labels[rows]
