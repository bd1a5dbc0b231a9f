"""``reload``: have the running node read its files again, and say what that has changed."""

from node_daemon.control_client import Json, request
from node_daemon.output import Answer
from node_daemon.paths import Paths


def reload(paths: Paths) -> Answer:
    """What is in force now, and what needs a restart; raises P2PError when a file is wrong."""
    found = request(paths.socket, "reload")
    lines = [
        *_lines("in force now", found.get("applied")),
        *_lines("needs a restart (p2pnode stop, then start)", found.get("needs_restart")),
    ]
    return Answer(found, "\n".join(lines or ["no setting has changed; trust.toml was read again"]))


def _lines(heading: str, listed: Json) -> list[str]:
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    if not rows:
        return []
    return [f"{heading}:", *(f"  {row['key']}: {_text(row['old'])} -> {_text(row['new'])}" for row in rows)]


def _text(value: Json) -> str:
    return "-" if value is None else str(value)
