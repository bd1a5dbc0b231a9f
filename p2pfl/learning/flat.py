"""A torch module as one flat float32 vector and back: the only bridge between layers and models that travel.

Order: parameters, then float buffers (running means of batch normalisation), each as the module names them; a
tensor shared by two layers stands once.  Integer buffers never travel: the mean of two counters is nobody's
counter.  Buffers that the module leaves out of its own ``state_dict`` do not travel either.  Everything is
copied, in both directions: no vector that was handed out changes when the module trains on.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from p2pfl.errors import ConfigError
from p2pfl.learning.learner import Schema
from p2pfl.model import Array

# Those that a float32 vector holds without loss.
TRAVELLING_DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def travelling(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Name and tensor of everything that travels, in the order of the flat vector.

    Raises ConfigError for a tensor whose values float32 cannot hold.
    """
    stored = module.state_dict().keys()
    buffers = [(name, buffer) for name, buffer in module.named_buffers() if name in stored]
    tensors: list[tuple[str, Tensor]] = [
        *module.named_parameters(),
        *((name, buffer) for name, buffer in buffers if _is_inexact(buffer)),
    ]
    for name, tensor in tensors:
        if tensor.dtype not in TRAVELLING_DTYPES:
            raise ConfigError(
                f"tensor {name!r} of the module is {tensor.dtype}; models travel as float32",
                fix="build the module with float32 (module.float()), float16 or bfloat16",
            )
    return tensors


def resident(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Name and tensor of the integer and boolean buffers, which stay at the node."""
    stored = module.state_dict().keys()
    return [
        (name, buffer)
        for name, buffer in module.named_buffers()
        if name in stored and not _is_inexact(buffer)
    ]


def schema_of(module: nn.Module) -> Schema:
    """Names, shapes and dtypes of what travels."""
    return Schema(
        tuple(
            (name, tuple(tensor.shape), TRAVELLING_DTYPES[tensor.dtype])
            for name, tensor in travelling(module)
        )
    )


def flatten(module: nn.Module) -> NDArray[np.float32]:
    """A fresh vector [P] with the module's present values."""
    tensors = [tensor for _, tensor in travelling(module)]
    params = np.empty(sum(tensor.numel() for tensor in tensors), dtype=np.float32)
    first = 0
    for tensor in tensors:
        last = first + tensor.numel()
        params[first:last] = to_array(tensor).reshape(-1)
        first = last
    return params


def load(module: nn.Module, params: NDArray[np.float32]) -> None:
    """Copy a vector [P] into the module's own tensors, so that whoever holds these sees the new values."""
    tensors = [tensor for _, tensor in travelling(module)]
    with torch.no_grad():
        for tensor, values in zip(tensors, split(params, tensors), strict=True):
            tensor.copy_(values)


def split(params: NDArray[np.float32], tensors: list[Tensor]) -> list[Tensor]:
    """Copies of the vector's parts in the shapes, and on the devices, of ``tensors``."""
    sizes = [tensor.numel() for tensor in tensors]
    assert params.shape == (sum(sizes),), f"{params.shape} values for {sum(sizes)} parameters"
    # torch.tensor copies; from_numpy would warn about a vector that is read-only, as a received one is.
    pieces = np.split(params, np.cumsum(sizes)[:-1]) if sizes else []
    return [
        torch.tensor(piece, device=tensor.device).view(tensor.shape)
        for piece, tensor in zip(pieces, tensors, strict=True)
    ]


def to_array(tensor: Tensor, *, copy: bool = False) -> Array:
    """The tensor as an array of a dtype that can be stored; it may share memory unless ``copy`` is asked for.

    Floats narrower than float32 become float32, integers int64, booleans 0 and 1; a scalar an array of one.
    """
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    else:
        tensor = tensor.long()
    array: Array = np.atleast_1d(tensor.numpy())
    return array.copy() if copy else array


def _is_inexact(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
