"""Small files of every format, written by the tests themselves, and options that point a task at them."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[3]
ROWS_PER_FILE = 60
OWNERS = ("ann", "bob", "cyd")


def write_idx(folder: Path, *, train: int = 300, test: int = 60, side: int = 8, packed: bool = False) -> Path:
    """Images whose brightest column is their class, with noise."""
    random = np.random.default_rng(1)
    for stem, rows in (("train", train), ("t10k", test)):
        labels = random.integers(0, 4, rows).astype(np.uint8)
        images = random.integers(0, 64, (rows, side, side)).astype(np.uint8)
        images[np.arange(rows), :, labels] += 150
        write(folder / f"{stem}-images-idx3-ubyte", idx_bytes(images), packed=packed)
        write(folder / f"{stem}-labels-idx1-ubyte", idx_bytes(labels), packed=packed)
    return folder


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def write(path: Path, content: bytes, *, packed: bool) -> None:
    if packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def write_cifar10(folder: Path, *, rows: int = ROWS_PER_FILE) -> Path:
    """Images of two classes, dark and bright, with noise."""
    random = np.random.default_rng(2)
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        records = random.integers(0, 100, (rows, 3073)).astype(np.uint8)
        records[:, 0] = random.integers(0, 2, rows)
        records[:, 1:] += 70 + 40 * records[:, :1]
        (folder / name).write_bytes(records.tobytes())
    return folder


def write_csv(path: Path, *, rows: int = 420) -> Path:
    """Two numbers that tell the label, one of them with gaps, and an owner."""
    random = np.random.default_rng(3)
    lines = ["height,weight,ill,who"]
    for row in range(rows):
        label = int(random.integers(0, 2))
        height, weight = random.normal(3 * label, 1.0), random.normal(100 - 20 * label, 10.0)
        shown = "?" if row % 17 == 0 else f"{weight:.3f}"
        lines.append(f"{height:.5f},{shown},{label},{OWNERS[row % len(OWNERS)]}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_play(path: Path, *, speeches: int = 60) -> Path:
    """Three speakers who say letters at random, some more often."""
    random = np.random.default_rng(4)
    letters = list("eeeeeeeeeeeetaoins")
    text = [f"{OWNERS[i % 3].upper()}:\n{''.join(random.choice(letters, 70))}" for i in range(speeches)]
    path.write_text("\n\n".join(text) + "\n", "utf-8")
    return path


def options_of(folder: Path) -> dict[str, dict[str, object]]:
    """The options of each task on files, with its files written into ``folder``."""
    for name in ("idx", "cifar10"):
        (folder / name).mkdir()
    return {
        "idx": {"path": str(write_idx(folder / "idx"))},
        "cifar10": {"path": str(write_cifar10(folder / "cifar10")), "rows_per_file": ROWS_PER_FILE},
        "tabular": {"path": str(write_csv(folder / "table.csv")), "label": "ill", "owner": "who"},
        "characters": {"path": str(write_play(folder / "play.txt")), "min_characters": 100, "context": 16},
    }


def real_data(name: str) -> Path:
    """A folder of the real sets, which are not shipped: beside the repository, or where a variable says."""
    folder = Path(os.environ.get("P2PNODE_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder} (P2PNODE_TEST_DATA names another folder)")
    return folder
