"""Errors raised on purpose, sorted by whose fault they are, since that decides what to do.

P2PError ─┬─ ConfigError     the operator's: stop before the start
          ├─ RemoteError     a peer's: drop it, count it, go on
          ├─ TransportError  the network's: retry later with back-off
          └─ StateError      the disk's: set aside, degrade or stop

Everything else that is raised is a bug and may crash.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class P2PError(Exception):
    """Base of all errors raised on purpose; says what, where, the facts, and what would work.

    ``exit_code`` is what a command ends with when nobody handles the error.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        facts: Sequence[str] = (),
        fix: str = "",
        exit_code: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.facts = tuple(facts)
        self.fix = fix
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.what} ({self.where})" if self.where else self.what


class ConfigError(P2PError):
    """The operator's: names the key, what was found, what is allowed; raised before the start."""

    exit_code = 3


class RemoteError(P2PError):
    """A peer's: malformed, oversized or untrusted; drop it, count it, go on.

    ``code`` is the stable word that goes over the wire and into counters (``wrong_plan``).
    """

    def __init__(self, what: str, *, code: str = "malformed") -> None:
        super().__init__(what)
        self.code = code


class TransportError(P2PError):
    """The network's: unreachable, reset or timed out; retry later with back-off."""

    exit_code = 8


class StateError(P2PError):
    """The disk's: corrupt, full or unreadable; set aside, degrade, or stop with exit code 5."""

    exit_code = 5


def unknown_name(kind: str, found: str, known: Iterable[str], *, where: str = "") -> ConfigError:
    """The error for a name that is not in a table: lists the known ones and suggests the nearest."""
    names = sorted(known)
    near = get_close_matches(found, names, n=1) or [
        name for name in names if found and name.startswith(found)
    ]
    fix = f"did you mean {near[0]}?" if near else ""
    return ConfigError(f"unknown {kind} {found!r}; known: {', '.join(names)}", where=where, fix=fix)
