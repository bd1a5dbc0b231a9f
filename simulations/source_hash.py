"""The content of what a result depends on beside its options: files, and the code that computes it."""

import re
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path

from p2pfl.versions import LIBRARIES, versions

OWN = ("p2pfl", "topologies", "simulations")
INSTALLED = ("site-packages", "dist-packages")
WORD = re.compile(r"[^\W\d]\w*")


class Hashes:
    """SHA-256 of files, modules and the program, each as it was when first looked at; "" of what is not."""

    def __init__(self) -> None:
        self.content = cache(content_hash)
        self.module = cache(module_hash)
        self.program = cache(program_hash)


def content_hash(path: Path) -> str:
    """Of a file its bytes, of a folder the names and bytes of the files right in it."""
    try:
        if path.is_dir():
            return _of_files({each.name: each for each in path.iterdir() if each.is_file()})
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # the check of the point says it better
        return ""


def program_hash() -> str:
    """Of the sources of the packages that simulate, and the versions of the libraries that compute."""
    files = {name: path for package in OWN for name, path in _sources(package).items()}
    found = versions()
    libraries = [f"{name} {found[name]}" for name in LIBRARIES]
    return sha256("\n".join([_of_files(files), *libraries]).encode()).hexdigest()


def module_hash(name: str) -> str:
    """Of the sources of a module's whole package, and of what lies beside it that they name anywhere.

    Nothing is imported.  Installed packages, and those of the program, are not followed.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set()
    names = {name.partition(".")[0]}
    while names:
        each = names.pop()
        seen.add(each)
        files = _sources(each)
        found |= files
        names |= _neighbours(each, files.values()) - seen
    return _of_files(found) if found else ""


def _sources(name: str) -> Mapping[str, Path]:
    """The files of a top-level module or package, by their names from where it lies."""
    files: dict[str, Path] = {}
    for place in _places(name):
        inner = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        files |= {path.relative_to(place.parent).as_posix(): path for path in inner}
    return files


def _places(name: str) -> list[Path]:
    """The file of a top-level module, or the folders of a package; none where it is not found."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):  # ValueError: it is no module of a file
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin is not None and spec.has_location else []


def _neighbours(name: str, files: Iterable[Path]) -> set[str]:
    """What lies beside the top-level module ``name`` and could be imported: its files have the word."""
    library = Path(sysconfig.get_path("stdlib"))
    folders = {place.parent for place in _places(name)}
    folders = {each for each in folders if each.name not in INSTALLED and each != library}
    beside = {
        path.stem
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix == ".py" or (path.is_dir() and path.name.isidentifier())
    }
    words = {word for path in files for word in WORD.findall(_text(path))} if beside else set()
    return (beside & words).difference(OWN)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _of_files(files: Mapping[str, Path]) -> str:
    parts = [f"{name} {content_hash(path)}" for name, path in sorted(files.items())]
    return sha256("\n".join(parts).encode()).hexdigest()
