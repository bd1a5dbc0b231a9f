"""How well many models do on the same test samples, in one call."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from p2pfl.learning.batched_gradient import BatchedGradient
from p2pfl.learning.learner import Evaluation
from p2pfl.learning.torch_learner import EVALUATION_ROWS, Loss


def evaluated_rows(test: tuple[Tensor, Tensor]) -> int:
    """Test rows that are looked at together."""
    return min(EVALUATION_ROWS, max(1, len(test[1])))


def evaluate(
    gradient: BatchedGradient, X: Tensor, *, test: tuple[Tensor, Tensor], loss: Loss
) -> list[Evaluation]:
    """Confusion counts and summed loss of each of the models X [n, P]."""
    values = gradient.views(X)
    inputs, labels = test
    found: list[list[Evaluation]] = []
    for first in range(0, max(1, len(labels)), EVALUATION_ROWS):
        some, own = inputs[first : first + EVALUATION_ROWS], labels[first : first + EVALUATION_ROWS]
        outputs = gradient.outputs(values, some)
        losses = _losses(outputs, own, loss) if len(own) else [0.0] * len(X)
        confusions = _confusions(outputs, own)
        found.append([Evaluation(*pair) for pair in zip(confusions, losses, strict=True)])
    return [sum(parts[1:], start=parts[0]) for parts in zip(*found, strict=True)]


def _confusions(outputs: Tensor, labels: Tensor) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    n, _, classes = outputs.shape
    cells = classes * classes
    first = cells * torch.arange(n, device=outputs.device).unsqueeze(1)
    pairs = first + labels * classes + outputs.argmax(dim=2)
    counts = torch.bincount(pairs.reshape(-1), minlength=n * cells).cpu().numpy()
    return list(counts.astype(np.int64).reshape(n, classes, classes))


def _losses(outputs: Tensor, labels: Tensor, loss: Loss) -> list[float]:
    """Of each model, summed over the rows."""
    if loss is functional.cross_entropy:
        together = outputs.reshape(-1, outputs.shape[2])
        each = functional.cross_entropy(together, labels.repeat(len(outputs)), reduction="none")
        return [float(one) for one in each.view(len(outputs), -1).sum(dim=1)]
    return [float(loss(one, labels)) * len(labels) for one in outputs]
