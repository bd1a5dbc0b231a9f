from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from p2pfl.errors import ConfigError
from p2pfl.learning import flat

WIDTH = 3
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "linear without bias": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "convolution": lambda: nn.Conv2d(WIDTH, 2, kernel_size=3),
    "batch normalisation": lambda: nn.BatchNorm1d(WIDTH),
    "layer normalisation": lambda: nn.LayerNorm(WIDTH),
    "embedding": lambda: nn.Embedding(5, WIDTH),
    "scalar": nn.PReLU,
    "nothing": nn.ReLU,
    "half": lambda: nn.Linear(WIDTH, WIDTH).half(),
    "brain float": lambda: nn.Linear(WIDTH, WIDTH).bfloat16(),
    "nested": lambda: nn.Sequential(nn.Linear(WIDTH, 1), nn.BatchNorm1d(1)),
}


def build(layers: list[str]) -> nn.Module:
    return nn.Sequential(*(LAYERS[layer]() for layer in layers))


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@given(layers=st.lists(st.sampled_from(sorted(LAYERS)), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_any_module_comes_back_from_its_vector_with_its_own_integers(layers: list[str], seed: int) -> None:
    module, other = build(layers), build(layers)
    integers = {name: buffer + 7 for name, buffer in flat.resident(other)}
    for name, buffer in flat.resident(other):
        buffer.copy_(integers[name])
    params = np.random.default_rng(seed).normal(size=flat.schema_of(module).parameters).astype(np.float32)

    flat.load(module, params)
    flat.load(other, flat.flatten(module))

    assert flat.flatten(module).tobytes() == flat.flatten(other).tobytes()
    for name, tensor in values(other).items():
        expected = integers.get(name, module.state_dict()[name])
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected)


def test_a_float32_module_holds_exactly_the_vector_that_was_loaded() -> None:
    module = build(["linear", "batch normalisation", "convolution"])
    params = np.random.default_rng(1).normal(size=flat.schema_of(module).parameters).astype(np.float32)

    flat.load(module, params)

    assert flat.flatten(module).tobytes() == params.tobytes()


def test_parameters_stand_before_float_buffers_and_counters_do_not_travel() -> None:
    schema = flat.schema_of(build(["batch normalisation", "linear"]))

    assert [name for name, _, _ in schema.entries] == [
        *("0.weight", "0.bias", "1.weight", "1.bias"),
        *("0.running_mean", "0.running_var"),
    ]
    assert schema.parameters == 4 * WIDTH + WIDTH * WIDTH + WIDTH


def test_a_flattened_vector_does_not_change_when_the_module_does() -> None:
    module = nn.Linear(WIDTH, WIDTH)
    params = flat.flatten(module)
    before = params.copy()

    with torch.no_grad():
        module.weight.zero_()

    assert params.tobytes() == before.tobytes()


def test_the_module_does_not_follow_a_vector_that_was_loaded() -> None:
    module = nn.Linear(WIDTH, WIDTH)
    params = np.ones(flat.schema_of(module).parameters, dtype=np.float32)
    flat.load(module, params)

    params[:] = 9

    assert module.weight.max().item() == 1.0


def test_loading_writes_into_the_tensors_that_an_optimiser_holds() -> None:
    module = nn.Linear(WIDTH, WIDTH)
    held = module.weight

    flat.load(module, np.ones(flat.schema_of(module).parameters, dtype=np.float32))

    assert module.weight is held
    assert held.min().item() == 1.0


def test_a_read_only_vector_can_be_loaded() -> None:
    module = nn.Linear(WIDTH, WIDTH)
    params = np.frombuffer(bytes(4 * flat.schema_of(module).parameters), dtype=np.float32)

    flat.load(module, params)

    assert not module.weight.any()


def test_a_tied_tensor_stands_once() -> None:
    module = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False))
    module[1].weight = module[0].weight

    assert flat.schema_of(module).parameters == WIDTH * WIDTH


def test_buffers_that_the_module_does_not_store_do_not_travel() -> None:
    module = nn.Linear(WIDTH, WIDTH)
    module.register_buffer("cache", torch.ones(5), persistent=False)

    assert "cache" not in [name for name, _, _ in flat.schema_of(module).entries]


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
def test_what_float32_cannot_hold_is_refused_by_name(dtype: torch.dtype) -> None:
    module = nn.Linear(2, 2)
    module.weight = nn.Parameter(torch.zeros(2, 2, dtype=dtype))

    with pytest.raises(ConfigError, match=r"'weight' of the module is torch\..*; models travel as float32"):
        flat.schema_of(module)
