"""IDX files, plain or gzip: MNIST and every set that took its form (Fashion-MNIST, KMNIST, EMNIST).

A file is a magic number (0, 0, type, number of dimensions), the sizes as big-endian uint32, and the values.
Reference: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset
from p2pfl.data.files import malformed, opened, path_of, require_whole
from p2pfl.data.images import Pair, first, image_dataset
from p2pfl.errors import ConfigError

UNSIGNED_BYTE = 0x08
KIND = "IDX file"


def idx(
    *,
    path: str,
    train_images: str = "train-images-idx3-ubyte",
    train_labels: str = "train-labels-idx1-ubyte",
    test_images: str = "t10k-images-idx3-ubyte",
    test_labels: str = "t10k-labels-idx1-ubyte",
    train_rows: int = 0,
    test_rows: int = 0,
) -> Dataset:
    """Grey images [S, 1, height, width] in 0..1 from four files in the folder ``path``.

    Each file may end in ``.gz``.  ``train_rows`` and ``test_rows`` above 0 take only the first so many.
    """
    require_whole("train_rows", train_rows, least=0)
    require_whole("test_rows", test_rows, least=0)
    folder = path_of(path)
    train = read_pair(_file(folder, train_images), _file(folder, train_labels))
    test = read_pair(_file(folder, test_images), _file(folder, test_labels))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise malformed(
            KIND,
            str(_file(folder, test_images)),
            expected=f"images of shape {train[0].shape[2:]} like the training images",
            found=f"{test[0].shape[2:]}",
        )
    classes = int(max(train[1].max(), test[1].max())) + 1
    return image_dataset(first(train, train_rows), first(test, test_rows), classes=classes)


def read_pair(images_file: Path, labels_file: Path) -> Pair:
    """Images [S, 1, height, width] and labels [S] of equal number, as bytes."""
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    if len(images) != len(labels):
        raise malformed(
            KIND,
            f"{labels_file}, byte 4",
            expected=f"{len(images)} labels, one per image of {images_file.name}",
            found=f"{len(labels)}",
        )
    return images[:, None], labels


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file of so many dimensions; anything else is a ConfigError."""
    with opened(path, kind=KIND) as content:
        magic = int.from_bytes(content.take(4, "a magic number"), "big")
        right = UNSIGNED_BYTE << 8 | dimensions
        if magic != right:
            meaning = f"magic number 0x{right:08x} (unsigned bytes in {dimensions} dimensions)"
            raise content.wrong(0, expected=meaning, found=f"0x{magic:08x}")
        sizes = np.frombuffer(content.take(4 * dimensions, "sizes"), ">u4").tolist()
        if 0 in sizes:
            raise content.wrong(4, expected="sizes from 1", found=f"{sizes}")
        values = content.take(math.prod(sizes), f"values ({' x '.join(map(str, sizes))})")
        content.end()
    return np.frombuffer(values, np.uint8).reshape(sizes)


def _file(folder: Path, name: object) -> Path:
    """The file of this name, or the packed one beside it."""
    plain = folder / path_of(name, option="name of a file")
    packed = plain.with_name(f"{plain.name}.gz")
    if not plain.is_file() and not packed.is_file():
        raise ConfigError(
            f"there is neither {plain.name} nor {packed.name} in {plain.parent}",
            where="task.path",
            fix="path is the folder with the four IDX files",
        )
    return plain if plain.is_file() else packed
