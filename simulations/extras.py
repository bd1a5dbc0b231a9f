"""What needs packages of the extra ``experiments``: loaded by name, when it is asked for."""

import os
from importlib.util import find_spec
from pathlib import Path

from p2pfl import registry
from p2pfl.errors import ConfigError

PICTURES = (".png", ".svg", ".pdf", ".jpg")
EXTRA = "pip install 'p2pnode[experiments]'"


def from_extra(path: str) -> object:
    """The object behind ``module:attribute``; a missing package is a ConfigError that names the extra."""
    try:
        return registry.load(path)
    except ConfigError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            error.fix = EXTRA
        raise


def check_picture(path: Path | None, *, made: Path | None = None) -> None:
    """Raise ConfigError, before a long run, where ``path`` is no name of a picture, or none can be drawn.

    ``made`` is a folder that the run will make.
    """
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(
            f"cannot draw to {path.name!r}", where="--plot", fix=f"name it with one of: {', '.join(PICTURES)}"
        )
    if find_spec("matplotlib") is None:
        raise ConfigError("a picture needs the package 'matplotlib', which is not installed", fix=EXTRA)
    if made is not None and path.parent.absolute() == made.absolute() and not made.exists():
        return
    if not path.parent.is_dir():
        raise _undrawable(path, "there is no such folder", fix=f"mkdir -p {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _undrawable(path, "it cannot be written", fix="name another file")


def _undrawable(path: Path, why: str, *, fix: str) -> ConfigError:
    return ConfigError(f"cannot draw to {str(path)!r}: {why}", where="--plot", fix=fix)


def has_parquet() -> bool:
    """Are the packages there that read and write Parquet?"""
    return all(find_spec(name) is not None for name in ("pandas", "pyarrow"))
