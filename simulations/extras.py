"""What needs packages of the extra ``experiments``: loaded by name, when it is asked for."""

from importlib.util import find_spec

from p2pfl import registry
from p2pfl.errors import ConfigError

EXTRA = "pip install 'p2pnode[experiments]'"


def from_extra(path: str) -> object:
    """The object behind ``module:attribute``; a missing package is a ConfigError that names the extra."""
    try:
        return registry.load(path)
    except ConfigError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            error.fix = EXTRA
        raise


def has_parquet() -> bool:
    """Are the packages there that read and write Parquet?"""
    return all(find_spec(name) is not None for name in ("pandas", "pyarrow"))
