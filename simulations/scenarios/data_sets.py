"""The sets of data that scenarios read: which files, and where they come from.  None is shipped."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from p2pfl.errors import ConfigError

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")


@dataclass(frozen=True, slots=True)
class DataSet:
    """Names of the files, and the page that offers them."""

    files: tuple[str, ...]
    source: str


DATA_SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "fashion-mnist": DataSet(
            (
                "train-images-idx3-ubyte.gz",
                "train-labels-idx1-ubyte.gz",
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
            ),
            "https://github.com/zalandoresearch/fashion-mnist",
        ),
        "heart-disease": DataSet(
            tuple(f"processed.{hospital}.data" for hospital in HOSPITALS),
            "https://archive.ics.uci.edu/dataset/45/heart+disease",
        ),
        "occupancy": DataSet(
            ("datatraining.txt",), "https://archive.ics.uci.edu/dataset/357/occupancy+detection"
        ),
    }
)


def folder_of(data: Path, name: str) -> Path:
    """The folder of a set of data in the folder of all; raises ConfigError where a file is missing."""
    folder, wanted = data / name, DATA_SETS[name]
    missing = [file for file in wanted.files if not (folder / file).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} lacks {', '.join(missing)}",
            where="--data",
            fix=f"get them from {wanted.source}; --data names the folder above {name}",
        )
    return folder
