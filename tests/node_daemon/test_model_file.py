"""Files of weights alone: written for any reader, judged by their header when they come from elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from node_daemon import model_file
from p2pfl.errors import ConfigError, P2PError, StateError
from p2pfl.learning.learner import Schema
from p2pfl.model import Checkpoint, Model, Snapshot

SCHEMA = Schema((("w", (2, 3), "float32"), ("b", (3,), "float32")))


def at_round(round: int) -> Checkpoint:
    return Checkpoint(Model(np.zeros(3, np.float32), round), {}, Snapshot(), round)


def test_export_splits_the_vector_into_the_tensors_of_the_schema(tmp_path: Path) -> None:
    schema = Schema((("w", (2, 3), "float32"), ("b", (3,), "float16"), ("s", (), "bfloat16")))
    model = Model(np.arange(10, dtype=np.float32), age=4)
    path = tmp_path / "model.safetensors"

    model_file.export(Checkpoint(model, {}, Snapshot(), 4), schema, path)

    tensors = load_file(path)
    assert tensors["w"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert tensors["b"].tolist() == [6.0, 7.0, 8.0]
    assert tensors["b"].dtype == np.float16
    assert tensors["s"].tolist() == 9.0
    assert tensors["s"].dtype == np.float32
    with pytest.raises(ConfigError, match="3 parameters, the task's model 10"):
        model_file.export(at_round(1), schema, path)


def test_what_is_exported_comes_back_bit_for_bit(tmp_path: Path) -> None:
    params = np.random.default_rng(3).normal(size=9).astype(np.float32)
    path = tmp_path / "model.safetensors"

    model_file.export(Checkpoint(Model(params), {}, Snapshot(), 0), SCHEMA, path)

    assert model_file.read_weights(path, SCHEMA).tobytes() == params.tobytes()


def test_weights_of_other_floats_and_in_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"b": np.ones(3, np.float64), "w": np.arange(6, dtype=np.float16).reshape(2, 3)}, path)

    assert model_file.read_weights(path, SCHEMA).tolist() == [0, 1, 2, 3, 4, 5, 1, 1, 1]


def file_of(path: Path, header: object, body: bytes = bytes(36)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


W = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
B = {"dtype": "F32", "shape": [3], "data_offsets": [24, 36]}


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        ({"w": W}, bytes(24), "another model"),
        ({"w": W, "b": B, "c": B}, bytes(36), "another model"),
        ({"w": {**W, "shape": [3, 2]}, "b": B}, bytes(36), "another model"),
        ({"w": {**W, "dtype": "I64"}, "b": B}, bytes(36), "another model"),
        ({"w": {**W, "data_offsets": [0, 12]}, "b": B}, bytes(36), "no sense"),
        ({"w": {**W, "data_offsets": [-24, 0]}, "b": B}, bytes(36), "gaps"),
        ({"w": W, "b": {**B, "data_offsets": [12, 24]}}, bytes(36), "overlap"),
        ({"w": W, "b": {**B, "data_offsets": [1000, 1012]}}, bytes(36), "gaps"),
        ({"w": 1, "b": B}, bytes(36), "no sense"),
        ({"w": W, "b": B}, bytes(35), "35 bytes of tensors"),
        ({"w": W, "b": B}, b"\xff" * 36, "not all finite"),
        (b'{"w":1,"w":2}', b"", "twice"),
        (b"[" * 100, b"", "not JSON"),
        ({"w": W, "b": B, "__metadata__": {"x": "y" * 2000}}, bytes(36), "header claims"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_a_reason(
    tmp_path: Path, header: object, body: bytes, words: str
) -> None:
    with pytest.raises(P2PError, match=words):
        model_file.read_weights(file_of(tmp_path / "m.safetensors", header, body), SCHEMA)


def test_the_smallest_file_that_fits_is_accepted(tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.safetensors", {"w": W, "b": B})  # so that the table fails for its reasons

    assert model_file.read_weights(path, SCHEMA).size == 9


def test_a_float64_beyond_float32_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"b": np.full(3, 1e300), "w": np.zeros((2, 3))}, path)

    with pytest.raises(StateError, match="not all finite"):
        model_file.read_weights(path, SCHEMA)
