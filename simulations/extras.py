"""What needs packages of the extra ``experiments``: loaded by name, when it is asked for."""

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


def check_picture(path: Path | None) -> None:
    """Raise ConfigError, before a long run, where ``path`` is no name of a picture or nothing can draw it."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(
            f"cannot draw to {path.name!r}", where="--plot", fix=f"name it with one of: {', '.join(PICTURES)}"
        )
    if find_spec("matplotlib") is None:
        raise ConfigError("a picture needs the package 'matplotlib', which is not installed", fix=EXTRA)


def has_parquet() -> bool:
    """Are the packages there that read and write Parquet?"""
    return all(find_spec(name) is not None for name in ("pandas", "pyarrow"))
