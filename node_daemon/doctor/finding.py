"""What a check is given, and what it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from node_daemon.config import Config
from node_daemon.control_client import Json
from node_daemon.paths import Paths
from node_daemon.sections import Settings
from p2pfl.errors import P2PError


class Grade(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    name: str
    grade: Grade
    found: str
    remedy: str = ""


class NotExaminedError(P2PError):
    """Another finding stands in the way of a check."""


@dataclass(frozen=True, slots=True)
class Case:
    """The node under examination, and a way to ask its daemon if that runs."""

    paths: Paths
    config: Config | P2PError  # or why there is none
    status: Mapping[str, Json] | None = None  # of our running daemon
    ask: Callable[[str], Mapping[str, Json]] = lambda _command: {}

    @property
    def settings(self) -> Settings:
        """The effective settings; raises NotExaminedError when there are none."""
        if isinstance(self.config, P2PError):
            raise NotExaminedError("not looked at: the config is not valid", fix="correct the config first")
        return self.config.settings

    @property
    def pid(self) -> int | None:
        """The process of our running daemon."""
        found = None if self.status is None else self.status.get("pid")
        return found if isinstance(found, int) else None


Check: TypeAlias = Callable[[Case], Sequence[Finding]]


def ok(name: str, found: str, remedy: str = "") -> list[Finding]:
    """All is well."""
    return [Finding(name, Grade.OK, found, remedy)]


def warn(name: str, found: str, remedy: str) -> list[Finding]:
    """It may go wrong."""
    return [Finding(name, Grade.WARN, found, remedy)]


def fail(name: str, found: str, remedy: str) -> list[Finding]:
    """It will not work."""
    return [Finding(name, Grade.FAIL, found, remedy)]
