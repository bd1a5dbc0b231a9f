"""Is what the program needs installed, and nothing that takes its place?"""

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from node_daemon.doctor.finding import Case, Finding, fail, ok

OURS = "p2pnode"
PACKAGES = ("p2pfl", "topologies", "node_daemon", "simulations")
SHOWN = ("torch", "uvloop")
NEEDED = ("torch", "numpy", "networkx", "scipy", "zeroconf", "msgpack", "cryptography", "safetensors")


def python(_case: Case, *, version: Callable[[str], str] = metadata.version) -> Sequence[Finding]:
    """Versions of the interpreter and of the libraries."""
    found = {name: _installed(name, version) for name in {*SHOWN, *NEEDED}}
    missing = sorted(name for name in NEEDED if not found[name])
    if missing:
        return fail("python", f"missing: {', '.join(missing)}", "pip install --upgrade p2pnode")
    shown = [f"{name} {found[name]}" for name in SHOWN if found[name]]
    return ok("python", ", ".join([platform.python_version(), *shown]))


def packages(
    _case: Case, *, owners: Callable[[], Mapping[str, list[str]]] = metadata.packages_distributions
) -> Sequence[Finding]:
    """Does another distribution bring an import package of ours?  The one installed last wins, in part."""
    owned = owners()
    strangers = sorted(
        {name for package in PACKAGES for name in owned.get(package, []) if _plain(name) != OURS}
    )
    if strangers:
        names = ", ".join(strangers)
        return fail(
            "packages",
            f"{names} brings import packages of the same names as p2pnode",
            f"pip uninstall {' '.join(strangers)}, then pip install --force-reinstall --no-deps p2pnode",
        )
    return ok("packages", f"{', '.join(PACKAGES)}: of p2pnode alone")


def _installed(name: str, version: Callable[[str], str]) -> str:
    try:
        return version(name)
    except metadata.PackageNotFoundError:
        return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
