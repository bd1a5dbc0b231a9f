"""Files of weights alone, for any reader of safetensors: one tensor per name of the learner's schema.

One that comes from elsewhere is judged by its header, before anything else of it is read: as long as ours at
most four times over, the names and shapes of the local schema, no name twice.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from node_daemon.checkpoint_file import LENGTH_BYTES, MAX_HEADER_BYTES, json_object
from node_daemon.checkpoint_writer import demand_space
from node_daemon.files import disk_error, write_atomically
from p2pfl.errors import ConfigError, StateError
from p2pfl.finiteness import is_finite
from p2pfl.learning.learner import Schema
from p2pfl.model import Checkpoint

EXPORT_MODE = 0o644  # a file for the user, not a secret
HEADER_FACTOR = 4  # times as long as ours may a header be

_METADATA = "__metadata__"
_EXPORTED_DTYPES = frozenset({"float16", "float32", "float64"})  # others become float32
_DTYPES: Mapping[str, str] = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def export(checkpoint: Checkpoint, schema: Schema, path: Path) -> None:
    """Write the model alone; raises ConfigError for one of another kind, StateError if the disk refuses."""
    params = checkpoint.model.params
    if params.size != schema.parameters:
        raise ConfigError(
            f"the checkpoint has {params.size} parameters, the task's model {schema.parameters}",
            fix="use the [task] section that the checkpoint was made with",
        )
    tensors = {}
    begin = 0
    for name, shape, dtype in schema.entries:
        part = params[begin : begin + int(np.prod(shape))].reshape(shape)
        tensors[name] = part.astype(dtype if dtype in _EXPORTED_DTYPES else np.float32)
        begin += part.size
    facts = {"age": str(checkpoint.model.age), "round": str(checkpoint.round)}
    # "pt" is what readers in the torch world demand to see.
    data = save_tensors(cast(dict[str, np.ndarray], tensors), metadata={"format": "pt", **facts})
    demand_space(path.absolute().parent, len(data))
    write_atomically(path, [data], mode=EXPORT_MODE)


def own_header_bytes(schema: Schema) -> int:
    """How long a header of ours is for such a model: what others' are measured by."""
    header: dict[str, object] = {_METADATA: {"format": "pt", "age": "0" * 10, "round": "0" * 10}}
    for name, shape, _ in schema.entries:
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [10**12, 10**12]}
    return len(json.dumps(header))


def read_header(file: BinaryIO, size_bytes: int, *, limit: int = MAX_HEADER_BYTES) -> dict[str, object]:
    """The header of a safetensors file as it stands; raises StateError for one that is too long or none."""
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > min(MAX_HEADER_BYTES, limit, size_bytes - LENGTH_BYTES):
        raise StateError(f"its header claims {length} bytes; {limit} would be plenty for this model")
    return json_object(file.read(length), "its header")


def read_weights(path: Path, schema: Schema) -> NDArray[np.float32]:
    """The flat vector [P] in a file of weights that has exactly the tensors of the schema.

    Raises StateError for a file that is damaged, too large or not finite, ConfigError for another model's.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            header = read_header(file, size_bytes, limit=HEADER_FACTOR * own_header_bytes(schema))
            header.pop(_METADATA, None)
            found = _places(header, schema)
            body = size_bytes - file.tell()
            _demand_filled(found, body)
            data = file.read(body)
    except OSError as error:
        raise disk_error("read", path, error) from error
    parts = [np.frombuffer(data[begin:end], dtype) for dtype, begin, end in found]
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused
        params = np.concatenate([part.astype(np.float32) for part in parts])
    if not is_finite(params):
        raise StateError("its numbers are not all finite")
    return params


def _demand_filled(places: list[tuple[str, int, int]], body_bytes: int) -> None:
    reached = 0
    for _, begin, end in sorted(places, key=lambda place: place[1]):
        if begin != reached:
            raise StateError("its tensors overlap or leave gaps")
        reached = end
    if reached != body_bytes:
        raise StateError(f"it has {body_bytes} bytes of tensors where its header says {reached}")


def _places(header: Mapping[str, object], schema: Schema) -> list[tuple[str, int, int]]:
    """(dtype, begin, end) of each tensor of the schema, in its order."""
    wanted = {name: shape for name, shape, _ in schema.entries}
    if header.keys() != wanted.keys():
        strange = sorted(header.keys() ^ wanted.keys())[0]
        which = "is missing" if strange in wanted else "is not in this task's model"
        raise _other_model(f"tensor {strange[:64]!r} {which}")
    return [_place(name, shape, header[name]) for name, shape in wanted.items()]


def _place(name: str, shape: tuple[int, ...], entry: object) -> tuple[str, int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": list(found), "data_offsets": [int(begin), int(end)]}:
            if found != list(shape):
                raise _other_model(f"tensor {name[:64]!r} has shape {str(found)[:80]}, ours {list(shape)}")
            if dtype not in _DTYPES:
                raise _other_model(f"tensor {name[:64]!r} is of {dtype[:16]!r}; floats are read")
            length = int(np.prod(shape)) * np.dtype(_DTYPES[dtype]).itemsize
            if end - begin == length:
                return _DTYPES[dtype], begin, end
    raise StateError(f"tensor {name[:64]!r} is described in a way that makes no sense")


def _other_model(fact: str) -> ConfigError:
    return ConfigError(
        "the file holds another model than the task's",
        facts=[fact],
        fix="use the [task] section that the file was made with",
    )
