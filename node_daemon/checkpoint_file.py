"""The bytes of one checkpoint: a safetensors file; its header is bounded and checked before the rest is read.

Tensors: ``model`` [P] float32, ``state/NAME`` (what the learner keeps), ``snapshot/NAME`` (what the node
keeps).  One metadata entry, ``p2pnode``, holds the rest as JSON: format, round, sequence, plan, the model's
age and weight, the snapshot's values.  ``sequence`` counts the files written in a folder, so that the newest
is known without a clock, also among files of one round.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from p2pfl.errors import StateError
from p2pfl.finiteness import is_finite
from p2pfl.model import Array, Checkpoint, Model, Scalar, Snapshot

FORMAT = 1
MAX_HEADER_BYTES = 1 << 20
MAX_DIMENSIONS = 8
LENGTH_BYTES = 8  # of the header's own length, before it

_MODEL = "model"
_STATE = "state/"
_SNAPSHOT = "snapshot/"
_METADATA = "__metadata__"
_ITEM_BYTES: Mapping[str, int] = {"F32": 4, "F64": 8, "U8": 1, "I64": 8}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of a checkpoint says of it."""

    round: int
    sequence: int
    plan: bytes
    age: int
    weight: float
    parameters: int
    values: Mapping[str, Scalar | list[Scalar]]


def encode(checkpoint: Checkpoint, *, plan: bytes, sequence: int) -> bytes:
    """The whole file; raises StateError when it could not be read again.

    That is: its header is too long, or it is not finite, and would push out the good ones.
    """
    facts = {
        "format": FORMAT,
        "round": checkpoint.round,
        "sequence": sequence,
        "plan": plan.hex(),
        "age": checkpoint.model.age,
        "weight": checkpoint.model.weight,
        "values": {name: _to_json(value) for name, value in checkpoint.snapshot.values.items()},
    }
    tensors = {
        _MODEL: checkpoint.model.params,
        **{_STATE + name: array for name, array in checkpoint.state.items()},
        **{_SNAPSHOT + name: array for name, array in checkpoint.snapshot.arrays.items()},
    }
    _demand_finite(tensors, checkpoint.model.weight)
    contiguous: dict[str, NDArray[np.generic]] = {
        name: np.ascontiguousarray(array) for name, array in tensors.items()
    }
    data = save_tensors(cast(dict[str, np.ndarray], contiguous), metadata={"p2pnode": json.dumps(facts)})
    if int.from_bytes(data[:LENGTH_BYTES], "little") > MAX_HEADER_BYTES:
        raise StateError(f"the checkpoint's header would be longer than {MAX_HEADER_BYTES} bytes")
    return data


def read_facts(file: BinaryIO, size_bytes: int) -> Facts:
    """Read and check the header alone; raises StateError for anything that this version did not write."""
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > min(MAX_HEADER_BYTES, size_bytes - LENGTH_BYTES):
        raise StateError(f"its header claims {length} bytes")
    header = json_object(file.read(length), "its header")
    metadata = header.pop(_METADATA, None)
    parameters = _check_tensors(header, size_bytes - LENGTH_BYTES - length)
    if not isinstance(metadata, dict) or not isinstance(text := metadata.get("p2pnode"), str):
        raise StateError("it is not a checkpoint of p2pnode")
    return _facts(json_object(text, "its metadata"), parameters)


def decode(data: bytes, facts: Facts) -> Checkpoint:
    """The checkpoint in a file whose header and hash have been checked; StateError unless it is finite."""
    try:
        tensors = cast(dict[str, Array], load_tensors(data))
    except SafetensorError as error:
        raise StateError(f"it is not safetensors: {error}") from error
    _demand_finite(tensors, facts.weight)
    model = Model(cast(NDArray[np.float32], tensors[_MODEL]), facts.age, facts.weight)
    snapshot = Snapshot(facts.values, _named(tensors, _SNAPSHOT))
    return Checkpoint(model, _named(tensors, _STATE), snapshot, facts.round)


def _demand_finite(tensors: Mapping[str, Array], weight: float) -> None:
    for name, array in tensors.items():
        if not is_finite(array):
            raise StateError(f"tensor {name[:64]!r} is not finite")
    if not isfinite(weight):
        raise StateError("the model's weight is not finite")


def _named(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _check_tensors(tensors: Mapping[str, object], body_bytes: int) -> int:
    """Names, dtypes and shapes are ours, and together they fill the body without a gap; returns P."""
    spans = []
    parameters = -1
    for name, entry in tensors.items():
        if name != _MODEL and not name.startswith((_STATE, _SNAPSHOT)):
            raise StateError(f"it holds an unknown tensor {name[:64]!r}")
        dtype, shape, (begin, end) = _tensor(name, entry)
        if end - begin != prod(shape) * _ITEM_BYTES[dtype]:
            raise StateError(f"tensor {name[:64]!r} is not as long as its shape")
        spans.append((begin, end))
        if name == _MODEL and dtype == "F32" and len(shape) == 1:
            parameters = shape[0]
    if parameters < 0:
        raise StateError("it holds no model")
    reached = 0
    for begin, end in sorted(spans):
        if begin != reached:
            raise StateError("its tensors overlap or leave gaps")
        reached = end
    if reached != body_bytes:
        raise StateError(f"it has {body_bytes} bytes of tensors where its header says {reached}")
    return parameters


def _tensor(name: str, entry: object) -> tuple[str, list[int], tuple[int, int]]:
    if isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}:
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        is_ours = (
            isinstance(dtype, str) and dtype in _ITEM_BYTES and _are_counts(shape) and _are_counts(offsets)
        )
        if is_ours and len(shape) <= MAX_DIMENSIONS and len(offsets) == 2:
            return dtype, shape, (offsets[0], offsets[1])
    raise StateError(f"tensor {name[:64]!r} is described in a way that we do not write")


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _facts(record: Mapping[str, object], parameters: int) -> Facts:
    match record:
        case {"format": int(format), **_rest} if format != FORMAT:
            raise StateError(f"it has format {format}; this version reads format {FORMAT}")
        case {
            "round": int(round),
            "sequence": int(sequence),
            "plan": str(plan),
            "age": int(age),
            "weight": int() | float() as weight,
            "values": dict(values),
        }:
            restored = {name: _from_json(value) for name, value in values.items()}
            return Facts(round, sequence, _bytes(plan), age, float(weight), parameters, restored)
    raise StateError("its metadata is incomplete")


def _to_json(value: Scalar | list[Scalar]) -> object:
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _from_json(value: object) -> Scalar | list[Scalar]:
    if isinstance(value, list):
        return [_scalar(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> Scalar:
    match value:
        case int() | float() | str():
            return value
        case {"hex": str(text)}:
            return _bytes(text)
    raise StateError("its snapshot holds a value that we do not write")


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise StateError("its metadata holds bytes that are not hexadecimal") from error


def json_object(text: bytes | str, what: str) -> dict[str, object]:
    """A JSON object without a name that occurs twice; raises StateError that calls it ``what``."""
    try:
        record = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{what} is not JSON") from error
    if not isinstance(record, dict):
        raise StateError(f"{what} is not a JSON object")
    return record


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise StateError("its header names something twice")
    return record
