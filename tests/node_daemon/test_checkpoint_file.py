"""The bytes of a checkpoint: what goes in comes out, and a header is judged before anything else is read."""

import io
import json
from contextlib import suppress
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from node_daemon.checkpoint_file import MAX_HEADER_BYTES, decode, encode, read_facts
from p2pfl.errors import StateError
from p2pfl.model import Checkpoint, Model, Scalar, Snapshot

FACTS = {"format": 1, "round": 1, "sequence": 1, "plan": "", "age": 0, "weight": 1.0, "values": {}}
MODEL = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def checkpoint(**values: Scalar | list[Scalar]) -> Checkpoint:
    return Checkpoint(
        Model(np.array([1.5, -2.0, 3e-38], np.float32), age=7, weight=0.1),
        {"momentum": np.array([[1.0], [2.0]], np.float64)},
        Snapshot(values, {"totals": np.arange(4, dtype=np.int64), "codec": np.array([255], np.uint8)}),
        42,
    )


def file_of(header: object, body: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def ours(tensors: dict[str, object], **facts: object) -> dict[str, object]:
    return {**tensors, "__metadata__": {"p2pnode": json.dumps(FACTS | facts)}}


def read(data: bytes) -> None:
    read_facts(io.BytesIO(data), len(data))


def test_a_checkpoint_comes_back_as_it_was() -> None:
    before = checkpoint(hop=9, share=0.25, peer="x", mark=b"\x00\xff", marks=[1, "a", b"b"])

    data = encode(before, plan=b"12345678", sequence=5)
    facts = read_facts(io.BytesIO(data), len(data))
    after = decode(data, facts)

    assert (facts.round, facts.sequence, facts.plan, facts.parameters) == (42, 5, b"12345678", 3)
    assert after.model.params.tobytes() == before.model.params.tobytes()
    assert (after.model.age, after.model.weight, after.round) == (7, 0.1, 42)
    assert after.snapshot.values == before.snapshot.values
    assert after.state["momentum"].tolist() == [[1.0], [2.0]]
    assert after.snapshot.arrays["totals"].dtype == np.int64
    assert after.snapshot.arrays["codec"].tolist() == [255]


def test_any_reader_of_safetensors_finds_the_model() -> None:
    tensors = load(encode(checkpoint(), plan=b"", sequence=1))

    assert sorted(tensors) == ["model", "snapshot/codec", "snapshot/totals", "state/momentum"]


@given(
    st.dictionaries(
        st.text(max_size=9),
        st.one_of(
            st.integers(),
            st.floats(allow_nan=False),
            st.text(max_size=9),
            st.binary(max_size=9),
            st.lists(st.one_of(st.integers(), st.text(max_size=5), st.binary(max_size=5)), max_size=4),
        ),
        max_size=5,
    )
)
def test_every_kind_of_snapshot_value_survives(values: dict[str, Scalar | list[Scalar]]) -> None:
    before = Checkpoint(Model(np.zeros(1, np.float32)), {}, Snapshot(values), 0)

    data = encode(before, plan=b"", sequence=1)

    assert decode(data, read_facts(io.BytesIO(data), len(data))).snapshot.values == values


def test_a_snapshot_too_large_to_be_read_again_is_not_written() -> None:
    with pytest.raises(StateError, match="header would be longer"):
        encode(checkpoint(text="x" * MAX_HEADER_BYTES), plan=b"", sequence=1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "claims"),
        (b"\xff" * 40, "claims"),
        ((2**30).to_bytes(8, "little") + bytes(100), "claims"),
        (file_of(b"{"), "not JSON"),
        (file_of(b"[" * 5000), "not JSON"),
        (file_of(b"\xff\xfe"), "not JSON"),
        (file_of([]), "not a JSON object"),
        (file_of(b'{"model":1,"model":2}'), "twice"),
        (file_of({"model": MODEL}), "not a checkpoint of p2pnode"),
        (file_of(ours({})), "no model"),
        (file_of(ours({"model": {**MODEL, "dtype": "F64", "shape": [1]}})), "no model"),
        (file_of(ours({"model": {**MODEL, "shape": [2, 1]}})), "no model"),
        (file_of(ours({"model": {**MODEL, "dtype": "BOOL"}})), "do not write"),
        (file_of(ours({"model": {**MODEL, "dtype": ["F32"]}})), "do not write"),
        (file_of(ours({"model": {**MODEL, "shape": [2**40, 0]}})), "as long as its shape"),
        (file_of(ours({"model": {**MODEL, "shape": [-2]}})), "do not write"),
        (file_of(ours({"model": {**MODEL, "shape": [True]}})), "do not write"),
        (file_of(ours({"model": {**MODEL, "shape": [1] * 9}})), "do not write"),
        (file_of(ours({"model": {**MODEL, "more": 1}})), "do not write"),
        (file_of(ours({"model": MODEL, "../../x": MODEL})), "unknown tensor"),
        (file_of(ours({"model": MODEL, "state/a": MODEL})), "overlap"),
        (file_of(ours({"model": {**MODEL, "data_offsets": [4, 12]}}), bytes(12)), "gaps"),
        (file_of(ours({"model": MODEL}), bytes(9)), "9 bytes of tensors"),
        (file_of(ours({"model": MODEL}), bytes(7)), "7 bytes of tensors"),
        (file_of(ours({"model": MODEL}, format=2)), "format 2"),
        (file_of(ours({"model": MODEL}, round="1")), "incomplete"),
        (file_of(ours({"model": MODEL}, plan="xy")), "hexadecimal"),
        (file_of(ours({"model": MODEL}, values={"a": None})), "do not write"),
        (file_of(ours({"model": MODEL}, values={"a": [[1]]})), "do not write"),
    ],
)
def test_a_header_that_we_did_not_write_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(StateError, match=words):
        read(data)


def test_the_smallest_header_that_is_ours_is_accepted() -> None:
    read(file_of(ours({"model": MODEL})))  # so that the table above fails for the reasons it names


def test_a_header_of_20_000_tensors_is_refused_unread() -> None:
    tensors: dict[str, object] = {f"state/{i}": {**MODEL, "shape": [0]} for i in range(20_000)}
    data = file_of(ours(tensors))
    source = io.BytesIO(data)

    with pytest.raises(StateError, match="claims"):
        read_facts(source, len(data))

    assert source.tell() == 8


@given(st.data())
def test_mutated_files_give_a_checkpoint_or_a_state_error(data: st.DataObject) -> None:
    whole = encode(checkpoint(hop=3), plan=b"p", sequence=1)
    place = data.draw(st.integers(0, len(whole) - 1))
    mutated = whole[:place] + data.draw(st.binary(min_size=1, max_size=4)) + whole[place + 1 :]
    source = cast(io.BufferedReader, io.BytesIO(mutated))

    with suppress(StateError):
        facts = read_facts(source, len(mutated))
        assert decode(mutated, facts).model.params.size == 3
