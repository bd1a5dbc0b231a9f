"""Gradients of many models in one call: ``torch.func`` maps one node's gradient over all of them.

A chunk of models is X [n, P]; ``views`` gives its columns the shapes of the module's tensors, [n, ...] each.
Mini-batches of unequal sizes are padded where the loss is the mean of the rows' losses (cross entropy):
padded rows have weight 0, the others one over the true count.  For any other loss nodes with mini-batches of
one size go together, and nothing is padded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from p2pfl.learning import flat
from p2pfl.learning.swarm_learner import NotBatchableError
from p2pfl.learning.torch_learner import Loss

TOLERANCE = (
    1e-3  # of the gradients that are compared before a module is trusted; padding errors are far larger
)
PROBE_ROWS = 3
CPU = torch.device("cpu")
# Their outputs depend on chance or on the other rows of a mini-batch, which padding would change in silence.
REFUSED: Mapping[type[nn.Module], str] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), "normalises over the mini-batch"),
    **dict.fromkeys(
        (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), "draws at random"
    ),
}

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Minibatches:
    """One mini-batch of each model: inputs [n, B, ...], labels [n, B], and the true counts [n]."""

    inputs: Tensor
    labels: Tensor
    counts: Tensor


class BatchedGradient:
    """Gradients and outputs of n models of one float32 module, which is its own from here on.

    It computes on ``device`` in the type ``dtype``.
    """

    def __init__(
        self, module: nn.Module, loss: Loss, *, device: torch.device = CPU, dtype: torch.dtype = torch.float32
    ) -> None:
        _refuse(module)
        self._loss = loss
        self.is_padded = loss is functional.cross_entropy
        tensors = flat.travelling(module)
        ends = list(accumulate((tensor.numel() for _, tensor in tensors), initial=0))
        self._columns = {
            name: (span, tensor.shape) for (name, tensor), span in zip(tensors, pairwise(ends), strict=True)
        }
        self.parameters = ends[-1]
        self.trainable = [name for name, tensor in module.named_parameters() if tensor.requires_grad]
        if not all(tensor.dtype == torch.float32 for _, tensor in tensors):
            raise NotBatchableError("its tensors are not all float32")
        self._module = module.to(device, dtype)
        self._gradient = vmap(grad(self._one_loss), in_dims=(0, 0, 0))
        self._outputs = vmap(self._one_output, in_dims=(0, None))

    def views(self, X: Tensor) -> Tensors:
        """The columns of X [n, P], each tensor of the module as [n, ...]; they share its memory."""
        return {
            name: X[:, first:last].view(-1, *shape) for name, ((first, last), shape) in self._columns.items()
        }

    def gradients(self, values: Tensors, batch: Minibatches) -> Tensors:
        """Of the mean loss of each model's mini-batch, by the names of what is trained."""
        self._module.train()
        if self.is_padded:
            return self._of_equal(values, batch)
        found = {name: torch.empty_like(values[name]) for name in self.trainable}
        for count in sorted(set(batch.counts.tolist())):
            chosen = (batch.counts == count).nonzero().squeeze(1)
            part = Minibatches(
                batch.inputs[chosen, :count], batch.labels[chosen, :count], batch.counts[chosen]
            )
            for name, gradient in self._of_equal({k: v[chosen] for k, v in values.items()}, part).items():
                found[name][chosen] = gradient
        return found

    def outputs(self, values: Tensors, inputs: Tensor) -> Tensor:
        """What every model says of the same inputs [B, ...]: [n, B, C]."""
        self._module.eval()
        with torch.no_grad():
            found: Tensor = self._outputs(dict(values), inputs)
        return found

    def _of_equal(self, values: Tensors, batch: Minibatches) -> Tensors:
        trained = {name: values[name] for name in self.trainable}
        fixed = {name: value for name, value in values.items() if name not in trained}
        size = batch.labels.shape[1]
        counts = batch.counts.unsqueeze(1)
        places = torch.arange(size, device=counts.device)
        weights = (places < counts).to(batch.inputs.dtype) / counts
        with torch.no_grad():
            found: Tensors = self._gradient(trained, fixed, (batch.inputs, batch.labels, weights))
        return found

    def _one_loss(self, trained: Tensors, fixed: Tensors, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        inputs, labels, weights = batch
        outputs = functional_call(self._module, {**trained, **fixed}, (inputs,))
        if self.is_padded:
            loss: Tensor = (functional.cross_entropy(outputs, labels, reduction="none") * weights).sum()
            return loss
        return self._loss(outputs, labels)

    def _one_output(self, values: Tensors, inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._module, dict(values), (inputs,))
        return outputs

    def probe(self, X: Tensor, inputs: Tensor, labels: Tensor) -> frozenset[str]:
        """Compare with torch's own results, model by model; raises NotBatchableError where they differ.

        X [2, P]; inputs [B, ...] of which the second model's last one is padding.  Returns what is trained
        and not reached by the loss: torch's optimisers leave it alone.
        """
        counts = torch.tensor([len(labels), len(labels) - 1], device=X.device)
        batch = Minibatches(inputs.expand(2, *inputs.shape), labels.expand(2, *labels.shape), counts)
        before = X.clone()
        try:
            values = self.views(X)
            found = self.gradients(values, batch)
            expected = [self._plainly(X, i, batch) for i in range(2)]
            outputs = self.outputs(values, inputs)
            plain = [self._plain_outputs(X, i, inputs) for i in range(2)]
        except (RuntimeError, NotImplementedError, ValueError) as error:
            raise NotBatchableError(str(error).splitlines()[0]) from error
        if not torch.equal(X, before):
            raise NotBatchableError("it changes its own buffers")
        if not _is_close(outputs, torch.stack(plain)):
            raise NotBatchableError("its outputs depend on the other models")
        unreached = frozenset(name for name in self.trainable if all(one[name] is None for one in expected))
        for name in self.trainable:
            pair = [torch.zeros_like(X[0, :1]) if one[name] is None else one[name] for one in expected]
            if not all(_is_close(mine, own) for mine, own in zip(found[name], pair, strict=True)):
                raise NotBatchableError(f"its gradient of {name} depends on the rest of the mini-batch")
        return unreached

    def _plainly(self, X: Tensor, i: int, batch: Minibatches) -> Mapping[str, Tensor | None]:
        values = {name: value[i].clone() for name, value in self.views(X).items()}
        leaves = [values[name].requires_grad_() for name in self.trainable]
        count = int(batch.counts[i])
        outputs = functional_call(self._module, values, (batch.inputs[i, :count],))
        loss = self._loss(outputs, batch.labels[i, :count])
        found: Sequence[Tensor | None] = torch.autograd.grad(loss, leaves, allow_unused=True)
        return dict(zip(self.trainable, found, strict=True))

    def _plain_outputs(self, X: Tensor, i: int, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            return self._one_output({name: value[i].clone() for name, value in self.views(X).items()}, inputs)


def _is_close(found: Tensor, expected: Tensor | None) -> bool:
    return expected is not None and torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def _refuse(module: nn.Module) -> None:
    for name, part in module.named_modules():
        for kind, why in REFUSED.items():
            if isinstance(part, kind):
                raise NotBatchableError(f"{name or 'it'} ({type(part).__name__}) {why}")
    if kept := [name for name, _ in flat.resident(module)]:
        raise NotBatchableError(f"it keeps integer buffers: {', '.join(kept)}")
