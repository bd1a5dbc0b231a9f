"""What a point of a sweep is known by: the hash of all that its result depends on.

That is its table, the sources of the program and the versions of the libraries that compute, and the content
of what the table names: every file (data, traces, graphs) and the code behind every import path, with what it
imports from its own package and from beside it.  Not among it: other installed packages.
"""

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from p2pfl.errors import ConfigError
from p2pfl.version import __version__
from simulations.plain_data import Plain, Table, text_of
from simulations.source_hash import Hashes

FILE_KEYS = ("availability", "path", "test_path", "trace")  # of options whose values name files or folders
IMPORT_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")
UNNAMED_MODULE = "__main__"


def point_hash(table: Table, hashes: Hashes | None = None) -> str:
    """SHA-256, in hexadecimal digits; the same whatever the order of the keys.

    ``hashes`` remember.  Raises ConfigError for code that another process cannot find.
    """
    hashes = hashes or Hashes()
    whole = {
        "experiment": table,
        "files": named_files(table, hashes),
        "version": __version__,
        "program": hashes.program(),
    }
    return sha256(text_of(whole).encode()).hexdigest()


def named_files(table: Table, hashes: Hashes | None = None) -> dict[str, str]:
    """Every file and import path that the table names -> the hash of its content, "" where there is none."""
    hashes = hashes or Hashes()
    files: dict[str, str] = {}
    for key, text in _texts(table):
        path = os.path.expanduser(text)
        if match := IMPORT_PATH.fullmatch(text):
            _check_module(match[1], text, key)
            files[text] = hashes.module(match[1])
        elif key.rpartition(".")[2] in FILE_KEYS or os.path.isfile(path):
            files[text] = hashes.content(Path(path))
    return files


def _check_module(module: str, text: str, key: str) -> None:
    if module == UNNAMED_MODULE:
        raise ConfigError(
            f"{text!r} is not found by the processes of a sweep",
            where=key,
            fix="put it in a module, a file of its own, and name that",
        )


def _texts(found: Plain, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text among the values, with the names of the options that it stands under."""
    if isinstance(found, dict):
        for option, value in found.items():
            yield from _texts(value, f"{key}.{option}" if key else option)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value, key)
    elif isinstance(found, str):
        yield key, found
