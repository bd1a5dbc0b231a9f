"""Small torch modules for the tasks on files, made to fit the data: images, rows of a table, characters."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from p2pfl.data.dataset import Dataset
from p2pfl.errors import ConfigError
from p2pfl.learning.options import require_whole

IMAGE_MODELS = ("cnn", "mlp", "softmax")
TABLE_MODELS = ("mlp", "softmax")
CHARACTER_MODELS = ("gru", "mlp")
CHANNELS = (16, 32)  # of the two convolutions
SMALLEST_SIDE = 4  # pixels that two poolings can halve


def image_module(dataset: Dataset, *, model: str = "mlp", hidden: int = 100) -> nn.Module:
    """``softmax`` regression, ``mlp`` with one hidden layer, or ``cnn`` with two convolutions."""
    _check_model(model, IMAGE_MODELS)
    if model == "cnn":
        return _convolutions(dataset)
    return _dense(dataset, hidden=hidden if model == "mlp" else None)


def table_module(dataset: Dataset, *, model: str = "mlp", hidden: int = 16) -> nn.Module:
    """``softmax`` regression or ``mlp`` with one hidden layer, on the inputs of one row."""
    _check_model(model, TABLE_MODELS)
    return _dense(dataset, hidden=hidden if model == "mlp" else None)


def character_module(
    dataset: Dataset, *, model: str = "mlp", hidden: int = 128, embedding: int = 16
) -> nn.Module:
    """The next character from those before: ``mlp`` on all of them side by side, or a ``gru`` over them.

    Reference of the mlp: Bengio et al., "A neural probabilistic language model", JMLR 2003.
    """
    _check_model(model, CHARACTER_MODELS)
    require_whole("hidden", hidden, least=1)
    require_whole("embedding", embedding, least=1)
    if model == "gru":
        return RecurrentModel(dataset.classes, embedding, hidden)
    return nn.Sequential(
        CharacterEmbedding(dataset.classes, embedding),
        nn.Flatten(),
        nn.Linear(math.prod(_shape(dataset)) * embedding, hidden),
        nn.ReLU(),
        nn.Linear(hidden, dataset.classes),
    )


class CharacterEmbedding(nn.Module):
    """Vectors [B, L, E] of character numbers [B, L], which travel as floats like all inputs."""

    def __init__(self, characters: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(characters, size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Look them up."""
        vectors: Tensor = self.table(inputs.long())
        return vectors


class RecurrentModel(nn.Module):
    """A gated recurrent unit over a window; its last state says what comes next."""

    def __init__(self, characters: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = CharacterEmbedding(characters, embedding)
        self.recurrent = nn.GRU(embedding, hidden, batch_first=True)
        self.output = nn.Linear(hidden, characters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores [B, C] of the next character."""
        states, _ = self.recurrent(self.embedding(inputs))
        scores: Tensor = self.output(states[:, -1])
        return scores


def _dense(dataset: Dataset, *, hidden: int | None) -> nn.Module:
    features = math.prod(_shape(dataset))
    if hidden is None:
        return nn.Sequential(nn.Flatten(), nn.Linear(features, dataset.classes))
    require_whole("hidden", hidden, least=1)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, dataset.classes)
    )


def _convolutions(dataset: Dataset) -> nn.Module:
    channels, height, width = _shape(dataset)
    if min(height, width) < SMALLEST_SIDE:
        raise ConfigError(
            f"images of {height} x {width} pixels are too small for the model 'cnn'", where="task.model"
        )
    one, two = CHANNELS
    return nn.Sequential(
        nn.Conv2d(channels, one, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(one, two, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(two * (height // 4) * (width // 4), dataset.classes),
    )


def _shape(dataset: Dataset) -> tuple[int, ...]:
    return dataset.train.inputs.shape[1:]


def _check_model(found: object, known: Sequence[str]) -> None:
    if found not in known:
        raise ConfigError(f"model must be one of {', '.join(known)}, not {found!r}", where="task.model")
