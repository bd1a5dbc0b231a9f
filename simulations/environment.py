"""What the processes of an experiment find around them: modules where they are found here, and one thread."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# One thread per process: many of them share a few cores, and a fork must find no second thread.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def environment() -> dict[str, str]:
    """For an interpreter that is started with ``-P``."""
    found_here = os.pathsep.join(map(os.path.abspath, sys.path))  # "" is the current folder
    return os.environ | ONE_THREAD | {"PYTHONPATH": found_here}


@contextmanager
def modules_beside(file: Path) -> Iterator[None]:
    """Modules in the folder of an experiment are found in here, unless others have their names."""
    folder = str(file.absolute().parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
