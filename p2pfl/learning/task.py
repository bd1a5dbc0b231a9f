"""A task: what a user writes down to have a torch model learned by everyone together.

# my_lab/flowers.py, named in the config as  [task] name = "my_lab.flowers:task"
task = Task("flowers", module=FlowerNet, dataset=load_flowers)
"""

import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.learning.batched_learner import BatchedLearner
from p2pfl.learning.batches import Batches
from p2pfl.learning.learner import LearnerSetup
from p2pfl.learning.optimizer import OPTIMIZERS, OptimizerFactory, Rule
from p2pfl.learning.options import INITIAL_PURPOSE, require_number
from p2pfl.learning.swarm_learner import SwarmData
from p2pfl.learning.torch_globals import drawing
from p2pfl.learning.torch_learner import LocalUpdate, Loss, TorchLearner


@dataclass(frozen=True, slots=True)
class Task:
    """A classification task: module, data, loss, optimiser, and how much a node learns per round.

    ``module`` builds an untrained torch module, [B, ...] to [B, C]; ``dataset`` loads all samples;
    ``optimizer`` is a name or ``(parameters, step) -> Optimizer``.  ``step`` decays linearly to 0 over the
    run's rounds; a run without end keeps it.  ``local_steps`` above 0 replaces ``local_epochs``.
    """

    name: str
    _: KW_ONLY
    module: Callable[[], nn.Module]
    dataset: Callable[[], Dataset]
    loss: Loss = functional.cross_entropy
    optimizer: str | OptimizerFactory = "sgd"
    step: float = 0.1
    momentum: float = 0.0
    weight_decay: float | None = None  # None: the optimiser's own
    local_epochs: int = 2
    local_steps: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        require_number("step", self.step)
        require_number("momentum", self.momentum, below=1.0)
        if self.weight_decay is not None:
            require_number("weight_decay", self.weight_decay)
        self._batches()
        self._optimizer()

    def with_options(
        self,
        *,
        optimizer: str | None = None,
        step: float | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        local_epochs: int | None = None,
        local_steps: int | None = None,
        batch_size: int | None = None,
    ) -> "Task":
        """The same task with other settings; None keeps what is there.  A wrong value is a ConfigError."""
        return replace(
            self,
            optimizer=self.optimizer if optimizer is None else optimizer,
            step=self.step if step is None else step,
            momentum=self.momentum if momentum is None else momentum,
            weight_decay=self.weight_decay if weight_decay is None else weight_decay,
            local_epochs=self.local_epochs if local_epochs is None else local_epochs,
            local_steps=self.local_steps if local_steps is None else local_steps,
            batch_size=self.batch_size if batch_size is None else batch_size,
        )

    # A config's item is called with its options, like every other registered item.
    __call__ = with_options

    def learner(self, train: Samples, test: Samples, setup: LearnerSetup) -> TorchLearner:
        """A learner whose initial model is drawn from the seed alone: the same at every node.

        Raises ConfigError when the device is missing, or module and data do not fit.
        """
        module = self._initial_module(setup)
        check_fits(self.name, module, (train, test))
        return TorchLearner(module, train, test, update=self._update(), setup=setup)

    def batched(self, data: SwarmData, setup: LearnerSetup, *, is_double: bool = False) -> BatchedLearner:
        """The learners of all nodes as one; raises NotBatchableError where that would change the result."""
        module = self._initial_module(setup)
        smallest = min(data.rows, key=len)
        check_fits(self.name, module, (data.pool.take(smallest), data.test))
        check_fits(self.name, module, (data.pool, data.test))
        return BatchedLearner(module, data, update=self._update(), setup=setup, is_double=is_double)

    def _initial_module(self, setup: LearnerSetup) -> nn.Module:
        check_device(setup.device)
        random = np.random.default_rng([setup.seed, 0, 0, INITIAL_PURPOSE])
        with drawing(random, device=torch.device("cpu")):
            return self.module()

    def _update(self) -> LocalUpdate:
        return LocalUpdate(self._batches(), self.loss, self._optimizer(), self.step)

    def _batches(self) -> Batches:
        return Batches(self.batch_size, self.local_epochs, self.local_steps)

    def _optimizer(self) -> OptimizerFactory:
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(
                f"momentum {self.momentum} is only for the optimiser 'sgd'", where="task.momentum"
            )
        if not isinstance(self.optimizer, str):
            if self.weight_decay is not None:
                raise ConfigError("weight_decay is for optimisers by name", where="task.weight_decay")
            return self.optimizer
        if self.optimizer not in OPTIMIZERS:
            raise unknown_name("optimiser", self.optimizer, OPTIMIZERS, where="task.optimizer")
        return Rule(self.optimizer, self.momentum, self.weight_decay)


def check_device(device: str) -> None:
    """Refuse a device other than ``cpu``, ``cuda`` and ``cuda:N``, or one that this machine lacks."""
    if device == "cpu":
        return
    if not (match := re.fullmatch(r"cuda(?::(\d+))?", device)):
        raise ConfigError(f"unknown device {device!r}; known: cpu, cuda, cuda:N", where="node.device")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(match[1] or 0) >= found:
        raise ConfigError(
            f"device {device!r} is not available: torch {torch.__version__} sees {found} CUDA devices",
            where="node.device",
            fix='device = "cpu", or install a driver and a build of torch with CUDA',
        )


def check_fits(task: str, module: nn.Module, parts: tuple[Samples, Samples]) -> None:
    """Refuse rows that the module cannot take and labels that it has no output for, before the start."""
    train, test = parts
    if len(train) == 0:
        raise ConfigError(f"task {task!r} has no training rows at this node", where="[data]")
    row = torch.tensor(train.inputs[:1])
    try:
        with torch.no_grad():
            outputs = module.eval()(row)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigError(
            f"the module of task {task!r} does not take rows of shape {list(row.shape[1:])}",
            facts=[str(error).splitlines()[0]],
        ) from error
    labels = np.concatenate([train.labels, test.labels])
    if outputs.ndim != 2 or labels.min() < 0 or labels.max() >= outputs.shape[1]:
        raise ConfigError(
            f"the labels of task {task!r} run from {labels.min()} to {labels.max()}, "
            f"but for one row its module gives outputs of shape {list(outputs.shape)}",
            fix="one output per class: [1, classes]",
        )
