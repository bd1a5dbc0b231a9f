"""All nodes in one call: the same models as each node's own learner."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.learning.batched_learner import BatchedLearner
from p2pfl.learning.batches import Batches
from p2pfl.learning.learner import LearnerSetup, TrainingState
from p2pfl.learning.options import BATCHES_PURPOSE
from p2pfl.learning.swarm_learner import NotBatchableError, Rows, SwarmData, Training
from p2pfl.learning.task import Task
from p2pfl.model import Model

SEED, ROUNDS, FEATURES, CLASSES = 3, 20, 6, 4
SIZES = (5, 17, 1, 32, 16)  # rows of each node: one batch, a remainder, a single row, whole batches


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, CLASSES)
    )


def half_frozen() -> nn.Module:
    module = perceptron()
    next(module.parameters()).requires_grad = False
    return module


class Gated(nn.Module):
    """Does something else in training, and has a parameter that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs)
        return 2 * outputs if self.training else outputs


def samples(rows: int) -> Samples:
    random = np.random.default_rng(SEED)
    inputs = random.standard_normal((rows, FEATURES)).astype(np.float32)
    return Samples(inputs, random.integers(0, CLASSES, rows))


def dataset() -> Dataset:
    return Dataset(samples(sum(SIZES)), samples(30), CLASSES)


def swarm_data() -> SwarmData:
    data = dataset()
    ends = np.cumsum(SIZES)
    rows = tuple(np.arange(end - size, end) for end, size in zip(ends, SIZES, strict=True))
    return SwarmData(data.train, rows, data.test)


def task(module: Callable[[], nn.Module] = perceptron, **options: object) -> Task:
    return Task("test", module=module, dataset=dataset, batch_size=8, **options)  # type: ignore[arg-type]


def hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    right = outputs.gather(1, labels.unsqueeze(1))
    return functional.relu(1 + outputs - right).mean()


CASES: Mapping[str, Task] = {
    "sgd": task(),
    "steps": task(local_steps=3),
    "momentum": task(momentum=0.9, weight_decay=0.01),
    "adam": task(optimizer="adam", step=0.01, weight_decay=0.1),
    "adamw": task(optimizer="adamw", step=0.01),
    "another loss": task(loss=hinge),
    "convolution": task(convolution),
    "frozen": task(half_frozen, momentum=0.5),
    "gated": task(Gated, optimizer="adamw", step=0.01),
}


Answer = tuple[Model, TrainingState]


def loops(case: Task) -> list[Callable[..., Answer]]:
    data = swarm_data()
    setups = [LearnerSetup(SEED, number, ROUNDS) for number in range(len(SIZES))]
    return [case.learner(data.held(one.number), data.test, one).train for one in setups]


def batched(case: Task, **options: bool) -> BatchedLearner:
    return case.batched(swarm_data(), LearnerSetup(SEED, 0, ROUNDS), **options)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_local_updates_equal_those_of_each_nodes_own_learner(case: Task) -> None:
    together = batched(case)
    answers: list[Answer] = [(together.initial(), {}) for _ in SIZES]
    expected = list(answers)
    for _ in range(3):
        answers = together.train([Training(i, *answer) for i, answer in enumerate(answers)])
        expected = [train(*answer) for train, answer in zip(loops(case), expected, strict=True)]
    for (model, _), (own, _) in zip(answers, expected, strict=True):
        assert np.abs(model.params - own.params).max() < 1e-5
        assert np.abs(model.params - together.initial().params).max() > 1e-3
        assert (model.age, model.weight) == (own.age, own.weight) == (3, 1.0)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rows_train_as_models_do(case: Task) -> None:
    together = batched(case)
    train = together.rows_trainer()
    answers: list[Answer] = [(together.initial(), {}) for _ in SIZES]
    X: Rows = np.stack([model.params for model, _ in answers])
    for age in range(3):
        before = X.copy()
        X, given = train(X, age), X
        assert (given == before).all()
        answers = together.train([Training(i, *answer) for i, answer in enumerate(answers)])
    assert X.tobytes() == np.stack([model.params for model, _ in answers]).tobytes()


def test_some_of_the_nodes_train_at_different_ages_with_offsets() -> None:
    case = CASES["momentum"]
    together, own = batched(case), loops(case)
    params = together.initial().params
    random = np.random.default_rng(1)
    offset = random.standard_normal(len(params)).astype(np.float32)
    trainings = [
        Training(3, Model(params, 5, 2.0), gradient_offset=offset),
        Training(0, Model(params * np.float32(0.5), 1)),
    ]
    for one, (model, _) in zip(trainings, together.train(trainings), strict=True):
        expected, _ = own[one.node](one.model, {}, gradient_offset=one.gradient_offset)
        assert np.abs(model.params - expected.params).max() < 1e-5
        assert (model.age, model.weight) == (one.model.age + 1, one.model.weight)
    assert (trainings[0].model.params == params).all()


OPTIMIZERS: Mapping[str, tuple[Task, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (task(momentum=0.9), partial(torch.optim.SGD, momentum=0.9)),
    "adamw": (task(optimizer="adamw", step=0.01), torch.optim.AdamW),
}


@pytest.mark.parametrize(("case", "optimizer"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_twenty_rounds_in_float64_equal_a_loop_over_torch_modules(
    case: Task, optimizer: Callable[..., torch.optim.Optimizer]
) -> None:
    train = (together := batched(case, is_double=True)).rows_trainer()
    X: Rows = np.repeat(together.initial().params[np.newaxis].astype(np.float64), len(SIZES), axis=0)
    modules = [perceptron().double() for _ in SIZES]
    for module in modules:
        nn.utils.vector_to_parameters(torch.tensor(X[0]), module.parameters())
    kept: list[dict[str, object]] = [{} for _ in SIZES]
    for age in range(ROUNDS):
        X = train(X, age)
        for i, module in enumerate(modules):
            stepper = optimizer(module.parameters(), lr=case.step * (1 - age / ROUNDS))
            if kept[i]:
                stepper.load_state_dict({**stepper.state_dict(), "state": kept[i]})
            plain_update(module, stepper, node=i, age=age)
            kept[i] = stepper.state_dict()["state"]
    for row, module in zip(X, modules, strict=True):
        expected = nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
        assert X.dtype == np.float64
        assert np.abs(row - expected).max() < 1e-9


def plain_update(module: nn.Module, stepper: torch.optim.Optimizer, *, node: int, age: int) -> None:
    held = swarm_data().held(node)
    random = np.random.default_rng([SEED, node, age, BATCHES_PURPOSE])
    for rows in Batches(8).draw(random, len(held)):
        outputs = module(torch.tensor(held.inputs[rows]).double())
        stepper.zero_grad()
        loss = functional.cross_entropy(outputs, torch.tensor(held.labels[rows]))
        loss.backward()  # type: ignore[no-untyped-call]
        stepper.step()


@pytest.mark.parametrize(
    "case", [CASES["sgd"], CASES["another loss"], CASES["gated"]], ids=["padded", "plain", "gated"]
)
def test_evaluations_equal_those_of_each_nodes_own_learner(case: Task) -> None:
    together, data = batched(case), swarm_data()
    models = [Model(together.initial().params * np.float32(scale)) for scale in (1, -2, 30)]
    for found, model in zip(together.evaluate(range(3), models), models, strict=True):
        own = case.learner(data.held(0), data.test, LearnerSetup(SEED)).evaluate(model)
        assert (found.confusion == own.confusion).all()
        assert found.loss_sum == pytest.approx(own.loss_sum, rel=1e-5)


def test_the_size_of_a_chunk_changes_nothing_but_rounding() -> None:
    case, data = CASES["sgd"], swarm_data()
    update, setup = case._update(), LearnerSetup(SEED, 0, ROUNDS)
    small = BatchedLearner(case._initial_module(setup), data, update=update, setup=setup, chunk_bytes=1)
    large = batched(case)
    assert [len(chunk) for chunk in small._chunks(np.arange(len(SIZES)))] == [1] * len(SIZES)
    assert [len(chunk) for chunk in large._chunks(np.arange(len(SIZES)))] == [len(SIZES)]
    X = np.repeat(large.initial().params[np.newaxis], len(SIZES), axis=0)
    assert np.abs(small.rows_trainer()(X, 0) - large.rows_trainer()(X, 0)).max() < 1e-6


class Centred(nn.Module):
    """Takes the mean of the mini-batch off, as batch normalisation does, without being called so."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs - inputs.mean(dim=0)


class Counting(nn.Module):
    """Changes a float buffer of its own, which travels, whenever it is used."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.add_(1)
        return inputs


class Recurrent(nn.Module):
    """A recurrent unit, whose forward pass without gradients cannot be mapped over models."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.GRU(2, 4, batch_first=True)
        self.output = nn.Linear(4, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        states, _ = self.unit(inputs.view(-1, 3, 2))
        outputs: Tensor = self.output(states[:, -1])
        return outputs


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES).bfloat16()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs.bfloat16())
        return outputs.float()


def after(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, CLASSES), layer)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (task(lambda: after(nn.BatchNorm1d(CLASSES))), r"1 \(BatchNorm1d\) normalises over the mini-batch"),
        (task(lambda: after(nn.Dropout())), "draws at random"),
        (task(lambda: after(Centred())), "depends on the rest of the mini-batch"),
        (task(lambda: after(Counting())), "it changes its own buffers|in-place"),
        (task(optimizer=torch.optim.Rprop), "its optimiser is not one of sgd, adam, adamw"),
        (task(Half), "not all float32"),
        (task(Recurrent), "(?i)batching rule"),
    ],
    ids=["batch norm", "dropout", "hidden batch norm", "changes a buffer", "optimiser", "half", "recurrent"],
)
def test_what_would_come_out_different_is_refused(case: Task, why: str) -> None:
    with pytest.raises(NotBatchableError, match=why):
        batched(case)
