from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.cifar10 import RECORD_BYTES, cifar10, read_batch
from p2pfl.errors import ConfigError
from tests.p2pfl.data.small_files import write_cifar10

RECORDS = bytes([7, *bytes(1024), *b"\x80" * 1024, *b"\xff" * 1024, 2, *bytes(3072)])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cifar") / "data_batch_1.bin"


def test_a_record_is_a_label_and_its_colours_one_after_the_other(file: Path) -> None:
    file.write_bytes(RECORDS)
    images, labels = read_batch(file, 2)

    assert labels.tolist() == [7, 2]
    assert images.shape == (2, 3, 32, 32)
    assert images[0].reshape(3, -1).min(axis=1).tolist() == [0, 128, 255]
    assert images[0].reshape(3, -1).max(axis=1).tolist() == [0, 128, 255]


def test_five_files_are_training_and_one_is_test(tmp_path: Path) -> None:
    data = cifar10(path=str(write_cifar10(tmp_path, rows=20)), rows_per_file=20)

    assert (len(data.train), len(data.test), data.classes) == (100, 20, 10)
    assert data.train.inputs.shape == (100, 3, 32, 32)
    assert data.train.inputs.dtype == np.float32
    assert abs(float(data.train.inputs.mean())) < 0.5


def test_only_as_many_files_are_read_as_the_rows_need(tmp_path: Path) -> None:
    write_cifar10(tmp_path, rows=20)
    (tmp_path / "data_batch_3.bin").unlink()
    data = cifar10(path=str(tmp_path), rows_per_file=20, train_rows=33, test_rows=5)

    assert (len(data.train), len(data.test)) == (33, 5)
    with pytest.raises(ConfigError, match=r"cannot read .*data_batch_3.bin"):
        cifar10(path=str(tmp_path), rows_per_file=20)


def test_a_file_of_another_number_of_records_is_refused(tmp_path: Path) -> None:
    write_cifar10(tmp_path, rows=20)

    with pytest.raises(ConfigError, match="expected 30730000 bytes of 10000 records, found at most 61460"):
        cifar10(path=str(tmp_path))
    with pytest.raises(ConfigError, match="expected the end of the file") as caught:
        cifar10(path=str(tmp_path), rows_per_file=19)
    assert caught.value.where == f"{tmp_path / 'data_batch_1.bin'}, byte {19 * RECORD_BYTES}"


@given(row=st.integers(0, 1), label=st.integers(10, 255))
def test_a_label_above_nine_is_named_by_its_offset(file: Path, row: int, label: int) -> None:
    damaged = bytearray(RECORDS)
    damaged[row * RECORD_BYTES] = label
    file.write_bytes(damaged)

    with pytest.raises(ConfigError, match=f"expected a label below 10, found {label}") as caught:
        read_batch(file, 2)
    assert caught.value.where == f"{file}, byte {row * RECORD_BYTES}, record {row}"


@given(cut=st.integers(0, len(RECORDS) - 1), more=st.binary(min_size=1, max_size=9))
def test_a_cut_or_longer_file_is_refused(file: Path, cut: int, more: bytes) -> None:
    for content in (RECORDS[:cut], RECORDS + more):
        file.write_bytes(content)
        with pytest.raises(ConfigError):
            read_batch(file, 2)
