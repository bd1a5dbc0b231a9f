"""The 1797 handwritten digits that ship with scikit-learn: real data without a download.

The file is read directly: ``import sklearn`` takes a second, which a small daemon does not have.
Reference: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI 1998.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples
from p2pfl.errors import ConfigError

CLASSES = 10
ROWS = 1797
PIXELS = 64
BRIGHTEST = 16
TEST_EVERY = 5  # each fifth row of a class is a test row


def digits() -> Dataset:
    """8 x 8 grey images [64] in 0..1 of the ten digits: 1442 training and 355 test rows.

    The split is stratified, and the same for every seed, so that all nodes of all runs share one test set.
    """
    table = _read(_file())
    inputs = (table[:, :PIXELS] / BRIGHTEST).astype(np.float32)
    labels = table[:, PIXELS].astype(np.int64)
    is_test = _each_fifth_of_a_class(labels)
    return Dataset(
        train=Samples(inputs[~is_test], labels[~is_test]),
        test=Samples(inputs[is_test], labels[is_test]),
        classes=CLASSES,
    )


def _file() -> Path:
    package = find_spec("sklearn")  # finds the folder without importing the package
    if package is None or package.origin is None:
        raise ConfigError(
            "the dataset 'digits' needs scikit-learn, which is not installed", fix="pip install scikit-learn"
        )
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"


def _read(file: Path) -> NDArray[np.float64]:
    try:
        with gzip.open(file, "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.float64, ndmin=2)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(file, str(error)) from error
    if table.shape != (ROWS, PIXELS + 1):
        raise _unreadable(file, f"it holds a table of {table.shape}, expected {(ROWS, PIXELS + 1)}")
    return table


def _unreadable(file: Path, fact: str) -> ConfigError:
    return ConfigError(
        "cannot read the digits that ship with scikit-learn",
        where=str(file),
        facts=[fact],
        fix="pip install --force-reinstall scikit-learn",
    )


def _each_fifth_of_a_class(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    is_test = np.zeros(len(labels), dtype=np.bool_)
    for label in range(CLASSES):
        is_test[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return is_test
