"""What a point of a sweep is known by: the hash of all that its result depends on.

That is its table, the version of the program, and the content of every file that the table names: data,
traces, graphs, and the module behind an import path.  Not among them: modules that such a module imports, and
the versions of other packages.
"""

import re
from collections.abc import Callable, Iterator
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from p2pfl.version import __version__
from simulations.plain_data import Plain, Table, text_of

FILE_KEYS = ("availability", "path", "test_path", "trace")  # of options whose values name files or folders
NAMED = ("partition", "protocol", "task", "topology")  # options whose names may be import paths
IMPORT_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")

Digest: TypeAlias = Callable[[Path], str]


def point_hash(table: Table, digest: Digest | None = None) -> str:
    """SHA-256, in hexadecimal digits; the same whatever the order of the keys."""
    whole = {"experiment": table, "files": named_files(table, digest), "version": __version__}
    return sha256(text_of(whole).encode()).hexdigest()


def named_files(table: Table, digest: Digest | None = None) -> dict[str, str]:
    """Every file that the table names -> the hash of its content, "" where there is none.

    ``digest`` is ``content_hash``, perhaps one that remembers.
    """
    return {name: (digest or content_hash)(path) for name, path in sorted(_files(table))}


def _files(table: Table) -> Iterator[tuple[str, Path]]:
    for key in NAMED:
        found = table.get(key)
        name = found.get("name") if isinstance(found, dict) else found
        if isinstance(name, str) and (match := IMPORT_PATH.fullmatch(name)):
            yield name, _module_file(match[1])
    yield from ((name, Path(name).expanduser()) for name in _named(table))


def _named(found: Plain, key: str = "") -> Iterator[str]:
    if isinstance(found, dict):
        for option, value in found.items():
            yield from _named(value, option)
    elif isinstance(found, list):
        for value in found:
            yield from _named(value, key)
    elif isinstance(found, str) and key in FILE_KEYS:
        yield found


def _module_file(module: str) -> Path:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        spec = None
    return Path((spec and spec.origin) or "")


def content_hash(path: Path) -> str:
    """Of a file its bytes, of a folder the names and bytes of the files right in it."""
    try:
        if path.is_dir():
            parts = [f"{each.name} {content_hash(each)}" for each in sorted(path.iterdir()) if each.is_file()]
            return sha256("\n".join(parts).encode()).hexdigest()
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:  # the check of the point says it better
        return ""
