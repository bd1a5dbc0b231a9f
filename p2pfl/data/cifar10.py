"""CIFAR-10 in its binary version: records of one label and 3 x 32 x 32 bytes of colour.

Reference: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from pathlib import Path

import numpy as np

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.data.files import malformed, opened, path_of, require_whole
from p2pfl.data.images import Pair, first, image_dataset

CLASSES = 10
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32
ROWS_PER_FILE = 10_000
# Of the training images in 0..1, per colour; constants, so that every node scales alike.
MEAN = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32)[:, None, None]
DEVIATION = np.array([0.2470, 0.2435, 0.2616], dtype=np.float32)[:, None, None]
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
KIND = "CIFAR-10 file"


def cifar10(
    *, path: str, rows_per_file: int = ROWS_PER_FILE, train_rows: int = 0, test_rows: int = 0
) -> Dataset:
    """Colour images [S, 3, 32, 32] from the six ``.bin`` files in the folder ``path``.

    Each colour has mean 0 and deviation 1.  ``train_rows`` and ``test_rows`` above 0 take only the first so
    many; a cut of the set has another ``rows_per_file``.
    """
    require_whole("rows_per_file", rows_per_file, least=1)
    require_whole("train_rows", train_rows, least=0)
    require_whole("test_rows", test_rows, least=0)
    folder = path_of(path)
    needed = -(-train_rows // rows_per_file) if train_rows else len(TRAIN_FILES)
    pairs = [read_batch(folder / name, rows_per_file) for name in TRAIN_FILES[:needed]]
    images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    test = read_batch(folder / TEST_FILE, rows_per_file)
    data = image_dataset(first((images, labels), train_rows), first(test, test_rows), classes=CLASSES)
    return Dataset(train=_standardised(data.train), test=_standardised(data.test), classes=CLASSES)


def _standardised(samples: Samples) -> Samples:
    return Samples((samples.inputs - MEAN) / DEVIATION, samples.labels)


def read_batch(path: Path, rows: int) -> Pair:
    """Images [S, 3, 32, 32] and labels [S] of one file of exactly ``rows`` records."""
    with opened(path, kind=KIND) as content:
        found = content.take(rows * RECORD_BYTES, f"{rows} records")
        content.end()
    records = np.frombuffer(found, np.uint8).reshape(rows, RECORD_BYTES)
    labels = records[:, 0]
    if len(wrong := np.flatnonzero(labels >= CLASSES)):
        row = int(wrong[0])
        raise malformed(
            KIND,
            f"{path}, byte {row * RECORD_BYTES}, record {row}",
            expected=f"a label below {CLASSES}",
            found=f"{labels[row]}",
        )
    return records[:, 1:].reshape(rows, *SHAPE), labels
