"""The storeys of the house as one table, and a checker that reads any set of modules against it.

``docs/architecture.md`` explains the table; ``test_architecture.py`` holds the tree to it.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("p2pfl", "topologies", "simulations", "node_daemon")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50  # without the docstring
MAX_POSITIONAL = 3  # parameters, without self or cls; keyword-only after that

# A pure module decides; it does not read a clock, draw a lot, log, or touch a socket or a file.
IMPURE = frozenset({"asyncio", "socket", "ssl", "threading", "time", "random", "logging", "os", "pathlib"})
# Sans-IO: bytes in, bytes out.
IO = frozenset({"asyncio", "socket", "ssl", "threading", "select", "selectors"})


@dataclass(frozen=True, slots=True)
class Storey:
    """One row: its level, the packages of others it may import, the standard modules it may not."""

    level: int
    third_party: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()


def _row(level: int, third_party: str = "", forbidden: frozenset[str] = frozenset()) -> Storey:
    return Storey(level, frozenset(third_party.split()), forbidden)


# The longest name that a module starts with is its row; ``p2pfl`` itself is only its ``__init__``.
STOREYS: Mapping[str, Storey] = {
    "p2pfl.errors": _row(0, "", IMPURE),
    "p2pfl.version": _row(0, "", IMPURE),
    "p2pfl.versions": _row(1, "", IMPURE),
    "p2pfl.model": _row(1, "numpy", IMPURE),
    "p2pfl.events": _row(2, "numpy", IMPURE),
    "p2pfl.detection": _row(2, "", IMPURE),
    "p2pfl.protocols": _row(3, "numpy", IMPURE),
    "p2pfl.aggregation": _row(3, "numpy", IMPURE),
    "p2pfl.compression": _row(3, "numpy", IMPURE),
    "p2pfl.trust": _row(3, "numpy", IMPURE),
    "p2pfl.finiteness": _row(3, "numpy", IMPURE),
    "p2pfl.barrier": _row(3, "", IMPURE),
    "p2pfl.replay": _row(3, "", IMPURE),
    "p2pfl.membership": _row(3, "numpy", IMPURE),
    "p2pfl.roster": _row(3, "numpy", IMPURE),
    "topologies": _row(3, "numpy networkx scipy", IMPURE),
    "topologies.files": _row(3, "numpy networkx scipy"),
    "topologies.drawing": _row(3, "numpy networkx scipy matplotlib"),
    "p2pfl.node": _row(4, "numpy", IMPURE),
    "p2pfl.identity": _row(4, "numpy cryptography msgpack", IO),
    "p2pfl.wire": _row(4, "numpy cryptography msgpack", IO),
    "p2pfl.data": _row(4, "numpy sklearn", IO),
    "p2pfl.transports": _row(5, "numpy cryptography msgpack uvloop"),
    "p2pfl.transports.mqtt": _row(5, "numpy cryptography msgpack aiomqtt"),
    "p2pfl.discovery": _row(5, "numpy cryptography msgpack"),
    "p2pfl.discovery.interfaces": _row(5, "ifaddr"),
    "p2pfl.discovery.mdns": _row(5, "numpy cryptography msgpack zeroconf"),
    "p2pfl.discovery.mqtt": _row(5, "numpy cryptography msgpack aiomqtt"),
    "p2pfl.learning": _row(5, "numpy torch opacus"),
    "p2pfl.registry": _row(6),
    "p2pfl.peer": _row(6, "numpy cryptography msgpack"),
    "p2pfl": _row(6),
    "simulations": _row(
        7,
        "numpy scipy cryptography msgpack networkx torch rich tomlkit safetensors ray "
        "pandas pyarrow matplotlib",
    ),
    "node_daemon": _row(
        8,
        "numpy cryptography msgpack pydantic pydantic_core pydantic_settings "
        "safetensors tomlkit platformdirs",
    ),
    "node_daemon.daemon": _row(8, "numpy cryptography msgpack safetensors tomlkit platformdirs uvloop"),
    "node_daemon.observer": _row(8, "numpy msgpack starlette uvicorn"),
    "node_daemon.cli": _row(9, "typer rich"),
    "node_daemon.command_group": _row(9, "typer"),
    "node_daemon.__main__": _row(9),
}
# Rows that know less than their level would allow.
ONLY: Mapping[str, frozenset[str]] = {
    "p2pfl": frozenset({"p2pfl.registry"}),  # names are loaded on first use
    "topologies": frozenset({"p2pfl.errors"}),
}
ROOF = "node_daemon.cli"  # may import inside functions; the one part of the daemon that knows simulations


def modules(root: Path, packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """The source of every module under ``root``, by its dotted name (a package by its own name)."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return found


def violations(sources: Mapping[str, str]) -> list[str]:
    """What the storeys forbid in these modules, one sentence each."""
    trees = {name: ast.parse(source, filename=name) for name, source in sources.items()}
    found = [text for name in trees for text in _of_module(name, trees)]
    return sorted(found) + [f"cycle: {' -> '.join(cycle)}" for cycle in _cycles(trees)]


def too_large(sources: Mapping[str, str]) -> list[str]:
    """Files above the limit of lines, and functions above theirs."""
    found = [
        f"{name}: {source.count(chr(10))} lines, at most {MAX_FILE_LINES}"
        for name, source in sources.items()
        if source.count("\n") > MAX_FILE_LINES
    ]
    for name, source in sources.items():
        found += [
            f"{name}: {function.name} has {_length(function)} lines, at most {MAX_FUNCTION_LINES}"
            for function in _functions(ast.parse(source))
            if _length(function) > MAX_FUNCTION_LINES
        ]
    return found


def too_many_positional(sources: Mapping[str, str]) -> list[str]:
    """Functions that take more than ``MAX_POSITIONAL`` parameters by place."""
    found = []
    for name, source in sources.items():
        for function in _functions(ast.parse(source)):
            places = [argument.arg for argument in function.args.posonlyargs + function.args.args]
            count = len(places) - (places[:1] in (["self"], ["cls"]))
            if count > MAX_POSITIONAL:
                found.append(f"{name}: {function.name} takes {count} parameters by place")
    return found


def storey_name(module: str) -> str:
    """The row of a module, or "" when the table has none for it."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in STOREYS and (name != "p2pfl" or length == len(parts)):
            return name
    return ""


def imported(tree: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    """Dotted names of what a module imports; ``from a import b`` is ``a.b`` where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def _of_module(name: str, trees: Mapping[str, ast.Module]) -> Iterator[str]:
    row = storey_name(name)
    if not row:
        yield f"{name} stands in no storey: add it to the table in tests/architecture.py"
        return
    yield from (f"{name} {what}" for what in _tricks(name, trees[name]))
    for target in set(imported(trees[name], trees)):
        top = target.partition(".")[0]
        if top in PACKAGES:
            yield from _wrong_way(name, target)
        elif top in sys.stdlib_module_names:
            if top in STOREYS[row].forbidden:
                yield f"{name} imports {top}, which is forbidden in its storey"
        elif top not in STOREYS[row].third_party:
            yield f"{name} imports {top}, which is not on its storey's list"


def _wrong_way(name: str, target: str) -> Iterator[str]:
    """Imports point down; of one level only inside one package."""
    row, other = storey_name(name), storey_name(target)
    if not other:
        yield f"{name} imports {target}, which stands in no storey"
    elif STOREYS[other].level > STOREYS[row].level:
        yield f"{name} imports {target}, which is above it"
    elif _package(row) in ONLY and _package(row) != _package(other):
        if target not in ONLY[_package(row)]:
            yield f"{name} imports {target}; of ours it knows only {', '.join(ONLY[_package(row)])}"
    elif STOREYS[other].level == STOREYS[row].level and _package(row) != _package(other):
        yield f"{name} imports {target}, which stands beside it"
    elif target.startswith("simulations") and name.startswith("node_daemon") and row != ROOF:
        yield f"{name} imports {target}; only {ROOF} knows simulations"


def _package(row: str) -> str:
    """Rows that belong together: a package and those of its modules that have a row of their own."""
    parents = [name for name in STOREYS if row.startswith(f"{name}.") and name != "p2pfl"]
    return min(parents, key=len, default=row)


def _tricks(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"imports relatively (line {node.lineno})"
        if isinstance(node, ast.Name | ast.alias):
            word = node.id if isinstance(node, ast.Name) else node.name
            if word == "TYPE_CHECKING":
                yield f"uses TYPE_CHECKING (line {node.lineno})"
        if isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING":
            yield f"uses TYPE_CHECKING (line {node.lineno})"
    if storey_name(name) != ROOF:
        yield from _inner_imports(tree)


def _inner_imports(tree: ast.Module) -> Iterator[str]:
    for function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"imports inside {function.name} (line {node.lineno})"


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(function, clean=False)
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    return lines - (docstring.count("\n") + 1 if docstring else 0)


def _cycles(trees: Mapping[str, ast.Module]) -> Iterator[list[str]]:
    """Every cycle that a walk along the imports closes; one per module that closes it."""
    graph = {
        name: sorted({target for target in imported(tree, trees) if target in trees and target != name})
        for name, tree in trees.items()
    }
    done: set[str] = set()
    for start in graph:
        yield from _walk(start, graph, path=[], done=done)


def _walk(
    name: str, graph: Mapping[str, list[str]], *, path: list[str], done: set[str]
) -> Iterator[list[str]]:
    if name in path:
        yield [*path[path.index(name) :], name]
    elif name not in done:
        for target in graph[name]:
            yield from _walk(target, graph, path=[*path, name], done=done)
        done.add(name)
