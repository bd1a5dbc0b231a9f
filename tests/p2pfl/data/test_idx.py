import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.idx import idx, read_idx
from p2pfl.errors import ConfigError
from tests.p2pfl.data.small_files import idx_bytes, real_data, write_idx

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
PLAIN = idx_bytes(IMAGES)
PACKED = gzip.compress(PLAIN, mtime=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "images"


@pytest.mark.parametrize("is_packed", [False, True])
def test_four_files_become_images_in_0_to_1_with_labels(tmp_path: Path, is_packed: bool) -> None:
    data = idx(path=str(write_idx(tmp_path, train=30, test=10, packed=is_packed)))

    assert data.train.inputs.shape == (30, 1, 8, 8)
    assert data.test.inputs.shape == (10, 1, 8, 8)
    assert data.train.inputs.dtype == np.float32
    assert 0.0 <= data.train.inputs.min() < 0.3 < data.train.inputs.max() <= 1.0
    assert data.train.labels.dtype == np.int64
    assert data.classes == 4
    np.testing.assert_array_equal(data.train.inputs[:, 0].sum(axis=1).argmax(axis=1), data.train.labels)


def test_only_the_first_rows_are_taken_when_so_many_are_asked_for(tmp_path: Path) -> None:
    folder = str(write_idx(tmp_path, train=30, test=10))
    some, whole = idx(path=folder, train_rows=7, test_rows=3), idx(path=folder)

    np.testing.assert_array_equal(some.train.inputs, whole.train.inputs[:7])
    assert (len(some.test), some.classes) == (3, 4)


def test_a_set_with_other_names_is_read_by_those_names(tmp_path: Path) -> None:
    write_idx(tmp_path, packed=True)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(f"letters-{path.name}"))

    data = idx(
        path=str(tmp_path),
        train_images="letters-train-images-idx3-ubyte",
        train_labels="letters-train-labels-idx1-ubyte",
        test_images="letters-t10k-images-idx3-ubyte",
        test_labels="letters-t10k-labels-idx1-ubyte",
    )
    assert len(data.train) == 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected 4 bytes of a magic number, found at most 0"),
        (b"\0\0\x08\x01" + PLAIN[4:], "expected magic number 0x00000803 (unsigned bytes in 3 dimensions)"),
        (b"\0\0\x0d\x03" + PLAIN[4:], "found 0x00000d03"),
        (PLAIN[:10], "expected 12 bytes of sizes, found at most 6"),
        (PLAIN[:4] + bytes(4) + PLAIN[8:], "expected sizes from 1, found [0, 4, 5]"),
        (PLAIN[:-1], "expected 60 bytes of values (3 x 4 x 5), found at most 59"),
        (PLAIN + b"\0", "expected the end of the file, found more bytes"),
        (PLAIN[:4] + b"\xff" * 12, "79228162458924105385300197375 bytes of values"),
        (gzip.compress(PLAIN[:4] + b"\xff" * 12, mtime=0), "79228162458924105385300197375 bytes of values"),
        (gzip.compress(PLAIN + b"\0", mtime=0), "expected the end of the file"),
        (gzip.compress(PLAIN[:-1], mtime=0), "found the end of the file after 59"),
        (PACKED[:-9], "expected a whole gzip stream"),
        (PACKED[:-1] + b"\x55", "expected a whole gzip stream"),
    ],
)
def test_a_malformed_file_is_named_with_what_was_expected(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        read_idx(file, 3)
    assert message in caught.value.what
    assert caught.value.where.startswith(f"{file}, byte ")


def test_a_folder_without_the_files_says_what_should_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz"):
        idx(path=str(tmp_path))


def test_images_and_labels_must_be_as_many(tmp_path: Path) -> None:
    write_idx(tmp_path, train=30)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(29, np.uint8)))

    with pytest.raises(ConfigError, match=r"expected 30 labels, one per image .*, found 29"):
        idx(path=str(tmp_path))


def test_test_images_must_be_as_large_as_the_training_images(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((60, 8, 9), np.uint8)))

    with pytest.raises(ConfigError, match=r"images of shape \(8, 8\) like the training images, found \(8, 9"):
        idx(path=str(tmp_path))


@pytest.mark.parametrize("option", ["train_rows", "test_rows"])
def test_numbers_of_rows_are_checked(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        idx(path=str(tmp_path), **{option: -1})  # type: ignore[arg-type]
    assert caught.value.where == f"task.{option}"


@given(cut=st.integers(0, len(PLAIN) - 1), more=st.binary(min_size=1, max_size=9))
def test_a_cut_or_longer_file_is_refused(file: Path, cut: int, more: bytes) -> None:
    for content in (PLAIN[:cut], PLAIN + more, gzip.compress(PLAIN[:cut]), gzip.compress(PLAIN + more)):
        file.write_bytes(content)
        with pytest.raises(ConfigError):
            read_idx(file, 3)


@given(cut=st.integers(0, len(PACKED) - 1))
def test_a_cut_gzip_stream_is_refused(file: Path, cut: int) -> None:
    file.write_bytes(PACKED[:cut])
    with pytest.raises(ConfigError):
        read_idx(file, 3)


@given(place=st.integers(0, len(PACKED) - 1), value=st.integers(0, 255))
def test_a_damaged_gzip_stream_is_refused_or_harmless(file: Path, place: int, value: int) -> None:
    damaged = bytearray(PACKED)
    damaged[place] = value
    file.write_bytes(damaged)
    try:
        found = read_idx(file, 3)
    except ConfigError:
        return
    np.testing.assert_array_equal(found, IMAGES)  # a time or a name in the header


@given(content=st.binary(max_size=64), magic=st.sampled_from([b"", b"\0\0\x08\x03", b"\x1f\x8b\x08"]))
def test_any_bytes_give_an_array_of_all_their_values_or_an_error(
    file: Path, content: bytes, magic: bytes
) -> None:
    file.write_bytes(magic + content)
    try:
        found = read_idx(file, 3)
    except ConfigError:
        return
    assert found.size == len(magic + content) - 16


def test_a_small_stream_that_claims_gigabytes_costs_nothing(file: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as stream:
        stream.write(PLAIN[:4] + np.array([1 << 20, 1 << 5, 1 << 5], ">u4").tobytes() + bytes(1000))
    file.write_bytes(packed.getvalue())

    with pytest.raises(ConfigError, match="1073741824 bytes of values"):
        read_idx(file, 3)


@pytest.mark.slow
def test_fashion_mnist_has_the_published_counts() -> None:
    data = idx(path=str(real_data("fashion-mnist")))

    assert np.bincount(data.train.labels).tolist() == [6000] * 10
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.train.inputs.shape[1:] == (1, 28, 28)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0.0, 1.0)
