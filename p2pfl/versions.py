"""What a run depends on beside its settings: the versions that a result and ``p2pnode version`` name."""

import platform
from importlib import metadata

from p2pfl.version import __version__

PROTOCOL = "1.0"  # of the wire
LIBRARIES = ("torch", "numpy", "networkx")


def versions() -> dict[str, str | None]:
    """Of the program, the wire protocol, python, the libraries and the platform; imports none of them."""
    return {
        "version": __version__,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        **{name: _installed(name) for name in LIBRARIES},
        "platform": platform.platform(),
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
