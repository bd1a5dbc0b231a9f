"""Learning with torch: one module as a workbench, into which each given model is copied first."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from p2pfl.data.dataset import Samples
from p2pfl.learning import flat
from p2pfl.learning.batches import Batches
from p2pfl.learning.learner import Evaluation, LearnerSetup, Schema, TrainingState
from p2pfl.learning.optimizer import OptimizerFactory, restore_state, save_state
from p2pfl.learning.options import BATCHES_PURPOSE, LAYERS_PURPOSE, linear_decay
from p2pfl.learning.torch_globals import drawing, one_thread
from p2pfl.model import Array, Model

EVALUATION_ROWS = 1024  # at a time, which bounds the memory of an evaluation
BUFFER_PREFIX = "buffer/"

# (outputs [B, C], labels [B]) -> mean loss of the batch
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class LocalUpdate:
    """What one ``train`` does: mini-batches, loss, optimiser, and the step size at age 0."""

    batches: Batches
    loss: Loss
    optimizer: OptimizerFactory
    step: float


class TorchLearner:
    """Trains and evaluates flat models with a torch module, on the rows of one node.

    ``module`` belongs to the learner from here on; its present values are the initial model.  Each call
    copies the given model in and a fresh vector out, so that nothing but arguments decides what comes back;
    calls from several threads take turns.  A model that is no longer finite is returned: the owner judges.
    """

    def __init__(
        self, module: nn.Module, train: Samples, test: Samples, *, update: LocalUpdate, setup: LearnerSetup
    ) -> None:
        device = torch.device(setup.device)
        self._module = module.to(device)
        self._schema = flat.schema_of(module)
        self._initial = flat.flatten(module)
        self._resident = {name: buffer.clone() for name, buffer in flat.resident(module)}
        self._train = _tensors(train, device)
        self._test = _tensors(test, device)
        self._update = update
        self._setup = setup
        self._lock = Lock()

    @property
    def schema(self) -> Schema:
        """Names, shapes and dtypes of the tensors behind the flat vector."""
        return self._schema

    def initial(self) -> Model:
        """The module's values when the learner was made."""
        return Model(self._initial.copy())

    def train(
        self,
        model: Model,
        state: TrainingState,
        *,
        gradient_offset: NDArray[np.float32] | None = None,
    ) -> tuple[Model, TrainingState]:
        """One local update, with the step size that is due at the model's age."""
        with self._lock, self._one_thread(), self._random_layers(model.age):
            self._place(model, state)
            parameters = self._trainable()
            step = self._update.step * linear_decay(model.age, self._setup.rounds)
            optimizer = self._update.optimizer(list(parameters.values()), step)
            restore_state(optimizer, parameters, state)
            offsets = self._offsets(gradient_offset)
            self._module.train()
            inputs, labels = self._train
            for rows in self._update.batches.draw(self._random(model.age, BATCHES_PURPOSE), len(labels)):
                chosen = torch.from_numpy(rows).to(labels.device)
                loss = self._update.loss(self._module(inputs[chosen]), labels[chosen])
                self._module.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                _add(offsets, parameters)
                optimizer.step()
            self._module.zero_grad()
            kept = {**save_state(optimizer, parameters), **self._resident_state()}
            return Model(flat.flatten(self._module), model.age + 1, model.weight), kept

    def evaluate(self, model: Model) -> Evaluation:
        """Confusion counts and summed loss on the test rows, as many classes as the module has outputs."""
        inputs, labels = self._test
        with self._lock, self._one_thread(), torch.no_grad():
            self._place(model, {})
            self._module.eval()
            blocks = [
                self._evaluate(
                    inputs[first : first + EVALUATION_ROWS], labels[first : first + EVALUATION_ROWS]
                )
                for first in range(0, max(1, len(labels)), EVALUATION_ROWS)
            ]
        return sum(blocks[1:], start=blocks[0])

    def _one_thread(self) -> AbstractContextManager[None]:
        return one_thread(is_deterministic=self._setup.is_deterministic)

    def _evaluate(self, inputs: Tensor, labels: Tensor) -> Evaluation:
        outputs = self._module(inputs)
        classes = outputs.shape[1]
        pairs = (labels * classes + outputs.argmax(dim=1)).cpu().numpy()
        confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        loss = self._update.loss(outputs, labels).item() if len(labels) else 0.0
        return Evaluation(confusion.astype(np.int64), loss * len(labels))

    def _place(self, model: Model, state: TrainingState) -> None:
        """Make the workbench hold this model and what the node kept beside it."""
        flat.load(self._module, model.params)
        for name, buffer in flat.resident(self._module):
            kept = state.get(BUFFER_PREFIX + name)
            source = self._resident[name] if kept is None else torch.tensor(kept)
            buffer.copy_(source.reshape(buffer.shape))

    def _trainable(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self._module.named_parameters() if tensor.requires_grad}

    def _offsets(self, gradient_offset: NDArray[np.float32] | None) -> dict[str, Tensor]:
        """The offset of each parameter; a buffer has no gradient, so its part of the vector is not used."""
        if gradient_offset is None:
            return {}
        names, tensors = zip(*flat.travelling(self._module), strict=True)
        return dict(zip(names, flat.split(gradient_offset, list(tensors)), strict=True))

    def _resident_state(self) -> dict[str, Array]:
        return {
            BUFFER_PREFIX + name: flat.to_array(buffer, copy=True)
            for name, buffer in flat.resident(self._module)
        }

    def _random(self, age: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._setup.seed, self._setup.number, age, purpose])

    def _random_layers(self, age: int) -> AbstractContextManager[None]:
        return drawing(self._random(age, LAYERS_PURPOSE), device=self._train[1].device)


def _tensors(samples: Samples, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(samples.inputs, device=device), torch.tensor(samples.labels, device=device)


def _add(offsets: dict[str, Tensor], parameters: dict[str, Tensor]) -> None:
    """Add its offset to every gradient; a parameter that the loss does not reach has gradient zero."""
    for name, parameter in parameters.items():
        if name in offsets:
            offset = offsets[name].to(parameter.dtype)
            parameter.grad = offset.clone() if parameter.grad is None else parameter.grad + offset
