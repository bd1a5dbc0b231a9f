import numpy as np
import pytest
import torch

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError
from p2pfl.learning.modules import character_module, image_module, table_module


def data(*shape: int, classes: int = 5) -> Dataset:
    samples = Samples(np.zeros((3, *shape), dtype=np.float32), np.zeros(3, dtype=np.int64))
    return Dataset(train=samples, test=samples, classes=classes)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 5, 7)])
@pytest.mark.parametrize("model", ["softmax", "mlp", "cnn"])
def test_an_image_model_takes_images_of_any_size_and_gives_one_score_per_class(
    model: str, shape: tuple[int, ...]
) -> None:
    assert image_module(data(*shape), model=model)(torch.zeros(2, *shape)).shape == (2, 5)


def test_the_mlp_of_mnist_is_784_100_10() -> None:
    module = image_module(data(1, 28, 28, classes=10))

    assert sum(parameter.numel() for parameter in module.parameters()) == 784 * 100 + 100 + 100 * 10 + 10


def test_images_too_small_for_two_poolings_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 x 8 pixels are too small for the model 'cnn'"):
        image_module(data(1, 3, 8), model="cnn")


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_a_table_model_takes_rows(model: str) -> None:
    assert table_module(data(7), model=model)(torch.zeros(2, 7)).shape == (2, 5)


@pytest.mark.parametrize("model", ["mlp", "gru"])
def test_a_character_model_tells_orders_apart(model: str) -> None:
    torch.manual_seed(0)
    module = character_module(data(4, classes=9), model=model, hidden=8)
    scores = module(torch.tensor([[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]]))

    assert scores.shape == (2, 9)
    assert not torch.equal(scores[0], scores[1])


@pytest.mark.parametrize("make", [table_module, character_module])
def test_an_unknown_model_is_refused(make: object) -> None:
    with pytest.raises(ConfigError, match="model must be one of"):
        make(data(4), model="cnn")  # type: ignore[operator]
