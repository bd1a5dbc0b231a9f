import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.npz import read_npz
from p2pfl.errors import ConfigError

ARRAYS = {
    "pixels": np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    "label": np.array([0, 1, 1]),
    "who": np.array(["ann", "bob", "ann"]),
}


def packed(arrays: Mapping[str, np.ndarray], *, is_compressed: bool = True) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if is_compressed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def member(content: bytes, name: str = "label.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def header(shape: str, kind: str = "<i8") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


WHOLE = packed(ARRAYS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("npz") / "table.npz"


@pytest.mark.parametrize("is_compressed", [False, True])
def test_arrays_become_columns(file: Path, is_compressed: bool) -> None:
    file.write_bytes(packed(ARRAYS, is_compressed=is_compressed))
    table = read_npz(file)

    assert list(table.columns) == ["pixels.0", "pixels.1", "pixels.2", "pixels.3", "label", "who"]
    assert table.numbers("pixels.3").tolist() == [3, 7, 11]
    assert table.texts("label") == ["0", "1", "1"]
    assert table.texts("who") == ["ann", "bob", "ann"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the end of an archive without a gap"),
        (WHOLE[:-1], "expected the end of an archive without a gap"),
        (WHOLE + b"\0", "expected the end of an archive without a gap"),
        (member(b"no array"), "expected an archive of arrays"),
        (member(header("(1000000000000,)")), "expected 8000000000000 bytes for shape (1000000000000,)"),
        (member(header("(2,)") + bytes(15)), "expected 16 bytes for shape (2,) of int64, found 15"),
        (member(header("(2,)") + bytes(17)), "found 17"),
        (member(header("(-1,)") + bytes(8)), "malformed NPZ file"),
        (member(header("(1,)", "|O") + b"\x80\x04N."), "expected a list of numbers or of text, found object"),
        (member(header("()") + bytes(8)), "expected a list of numbers or of text"),
        (member(header("(1,)", "<U300") + bytes(1200)), "expected text of at most 256 characters, found 300"),
        (packed({"a": np.zeros(2), "b": np.zeros(3)}), "expected arrays of one length, from 1"),
        (packed({"a": np.zeros(0)}), "expected arrays of one length, from 1"),
    ],
)
def test_a_malformed_file_is_named_with_what_was_expected(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        read_npz(file)
    assert message in caught.value.what
    assert caught.value.where.startswith(str(file))


def test_pickled_objects_are_never_loaded(file: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, label=np.array([{}], dtype=object), allow_pickle=True)
    file.write_bytes(stream.getvalue())

    with pytest.raises(ConfigError, match="expected a list of numbers or of text, found object"):
        read_npz(file)


def test_an_archive_that_unpacks_to_more_than_it_can_hold_is_refused_unread(file: Path) -> None:
    content = bytearray(member(header("(3,)") + bytes(24)))
    place = content.index(b"PK\x01\x02") + 24  # the unpacked size in the directory
    content[place : place + 4] = (1 << 30).to_bytes(4, "little")
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"bytes of arrays, found 1073741824"):
        read_npz(file)


@given(cut=st.integers(0, len(WHOLE) - 1))
def test_a_cut_file_is_refused(file: Path, cut: int) -> None:
    file.write_bytes(WHOLE[:cut])
    with pytest.raises(ConfigError):
        read_npz(file)


@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_a_damaged_file_is_refused_or_its_values_are_whole(file: Path, place: int, value: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] = value
    file.write_bytes(damaged)
    try:
        table = read_npz(file)
    except ConfigError:
        return
    pixels = [["0", "4", "8"], ["1", "5", "9"], ["2", "6", "10"], ["3", "7", "11"]]
    values = [table.texts(name) for name in table.columns]
    assert values == [*pixels, ["0", "1", "1"], ["ann", "bob", "ann"]]
