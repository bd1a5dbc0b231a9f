"""What a running node takes up anew (SIGHUP, ``p2pnode reload``): trust, static peers, log level, limits.

Everything is read and checked before anything is changed, so that a file that is wrong leaves all as it is.
Other settings that have changed are named: they need a restart.  While the mode of trust.toml is one of them
its lists wait too, since they were written for the other mode.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node_daemon.control_client import Json
from node_daemon.layers import flatten
from node_daemon.sections import Settings

IN_FORCE_AT_ONCE = ("network.static", "log.level", "limits.")


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that is not what it was."""

    key: str
    old: object
    new: object

    @property
    def needs_restart(self) -> bool:
        """Is it one that a running node cannot take up?"""
        return not self.key.startswith(IN_FORCE_AT_ONCE)

    @property
    def words(self) -> str:
        """For people and the log."""
        return f"{self.key}: {_text(self.old)} -> {_text(self.new)}"


def changes(running: Settings, found: Settings, *, modes: tuple[str, str]) -> list[Change]:
    """The settings that differ, sorted by key; ``modes``: of trust, the running node's and the file's."""
    before = {**_flat(running), "trust.mode": modes[0]}
    now = {**_flat(found), "trust.mode": modes[1]}
    return [
        Change(key, before.get(key), now.get(key))
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def taken_up(running: Settings, found: Settings) -> Settings:
    """The running settings with those of ``found`` that can be in force at once."""
    return running.model_copy(
        update={
            "network": running.network.model_copy(update={"static": found.network.static}),
            "log": running.log.model_copy(update={"level": found.log.level}),
            "limits": found.limits,
        }
    )


def answer(found: list[Change]) -> Mapping[str, Json]:
    """The changes for the control socket."""
    return {
        "applied": [_fields(change) for change in found if not change.needs_restart],
        "needs_restart": [_fields(change) for change in found if change.needs_restart],
    }


def report(found: list[Change]) -> dict[str, object]:
    """The changes for the log and the journal."""
    return {
        "applied": [change.words for change in found if not change.needs_restart],
        "needs_restart": [change.words for change in found if change.needs_restart],
    }


def _flat(settings: Settings) -> dict[str, object]:
    return flatten(settings.model_dump(mode="json"))


def _fields(change: Change) -> dict[str, Json]:
    return {"key": change.key, "old": _plain(change.old), "new": _plain(change.new)}


def _plain(value: object) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            return str(value)


def _text(value: object) -> str:
    return "-" if value is None else str(value)
