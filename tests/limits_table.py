"""``python -m tests.limits_table`` writes ``docs/limits.md``: every limit, with value and meaning.

The table is read from the source: the fields of ``Limits``, and the constants whose name says that they
bound something.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import modules

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "limits.md"
TUNED = "p2pfl.wire.limits"
WHERE = (
    "p2pfl.discovery",
    "p2pfl.events",
    "p2pfl.finiteness",
    "p2pfl.identity",
    "p2pfl.membership",
    "p2pfl.node",
    "p2pfl.peer",
    "p2pfl.protocols",
    "p2pfl.transports",
    "p2pfl.wire",
    "node_daemon",
)
NAME = re.compile(r"(MAX_|KEPT_|TRIES|STRIKES|MUTED_|RETIRE_|FIRST_RETRY|LAST_RETRY|FULL_LINKING)[A-Z_0-9]*")
HEAD = """# Limits

Every queue, buffer, retry, list and frame has a limit with a name; a hit ends a transfer or a link, never
the daemon.
What a peer's link hits is counted, and told once a minute in the log and the journal (`peer.refused`, with a
`count`). This page is made from the source by `python -m tests.limits_table`, and a test holds it to that.

## Those of `[limits]` in `p2pnode.toml`

| name | default | what it bounds |
|---|---|---|
"""
MIDDLE = """
## Those that are the same everywhere

| name | value | what it bounds |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    sources = modules(ROOT)
    tuned = [_row(name, value, note) for name, value, note in _fields(sources[TUNED])]
    others = [
        _row(f"{module}.{name}", value, note)
        for module, source in sources.items()
        if module.startswith(WHERE) and module != TUNED
        for name, value, note in _constants(source)
    ]
    return HEAD + "".join(tuned) + MIDDLE + "".join(others)


def _fields(source: str) -> Iterator[tuple[str, str, str]]:
    """The fields of the class of limits."""
    (limits,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for node in limits.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, ast.unparse(node.value), _note(source, node.lineno)


def _constants(source: str) -> Iterator[tuple[str, str, str]]:
    """Constants of a module that bound something."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if NAME.fullmatch(name):
            yield name, ast.unparse(node.value), _note(source, node.lineno)


def _note(source: str, line: int) -> str:
    """The comment behind a line."""
    return source.splitlines()[line - 1].partition("  # ")[2].replace("|", "or")


def _row(name: str, value: str, note: str) -> str:
    return f"| `{name}` | `{value}` | {note} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
