"""Grey or colour images as bytes, made into samples: what the image formats share."""

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Dataset, Samples

BRIGHTEST = 255

Bytes = NDArray[np.uint8]
Pair = tuple[Bytes, Bytes]  # images [S, channels, height, width], labels [S]


def image_dataset(train: Pair, test: Pair, *, classes: int) -> Dataset:
    """Images scaled to 0..1."""
    return Dataset(train=_samples(*train), test=_samples(*test), classes=classes)


def first(pair: Pair, rows: int) -> Pair:
    """The first ``rows`` images and labels; all of them when ``rows`` is 0."""
    images, labels = pair
    return (images[:rows], labels[:rows]) if rows else pair


def _samples(images: Bytes, labels: Bytes) -> Samples:
    scaled = images.astype(np.float32)
    scaled /= BRIGHTEST
    return Samples(scaled, labels.astype(np.int64))
