"""Graphs from files: GraphML, edge lists and JSON.  Nodes keep their names; nothing is skipped silently.

Edge list (``.txt``, ``.edges``, ``.edgelist``): ``a b`` or ``a -> b`` per line, ``#`` starts a comment.
JSON (``.json``): ``{"directed": false, "nodes": ["a", "b"], "edges": [["a", "b"]]}``, ``nodes`` may be
left out; also the node-link form that networkx writes.  GraphML (``.graphml``): node ids are the names.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from xml.etree.ElementTree import ParseError

import networkx as nx

from p2pfl.errors import ConfigError
from topologies.checks import node_count

LARGEST_FILE_BYTES = 64 << 20
SHOWN = 8  # names or components in an error

Links = list[tuple[str, str]]


def from_file(path: str | Path) -> nx.Graph:
    """The graph that a file describes; its nodes are the names in the file, as text, in the file's order.

    Raises ConfigError when the file is missing, malformed, or falls into parts that cannot reach each other.
    """
    if not path or not isinstance(path, str | Path):
        raise ConfigError(
            f"the path of the graph file is missing, found {path!r}", fix='path = "graph.edges"'
        )
    place = Path(path)
    read = READERS.get(place.suffix.lower())
    if read is None:
        raise ConfigError(
            f"unknown kind of graph file {place.name!r}", fix=f"name it with one of: {', '.join(READERS)}"
        )
    graph = read(_content(place), str(place))
    _refuse_parts(graph, str(place))
    return graph


def file_graph(n: int, path: str = "", names: Mapping[str, str] | None = None) -> nx.Graph:  # noqa: ARG001
    """Your own graph, from a GraphML, edge list or JSON file; nodes are named there by node name or id."""
    n = node_count(n)
    graph = from_file(path)
    found = graph.number_of_nodes()
    if found != n:
        raise ConfigError(
            f"the graph has {found} nodes, not {n}", where=str(path), fix=f"ask for {found} nodes"
        )
    return graph


def _content(place: Path) -> bytes:
    try:
        with place.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the graph file: {error.strerror}", where=str(place)) from error
    if len(content) > LARGEST_FILE_BYTES:
        raise ConfigError(f"the graph file is larger than {LARGEST_FILE_BYTES >> 20} MiB", where=str(place))
    return content


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the graph file is not UTF-8 text: {error.reason}", where=where) from error


def _edge_list(content: bytes, where: str) -> nx.Graph:
    links: Links = []
    kinds: set[str] = set()
    for number, line in enumerate(_text(content, where).splitlines(), start=1):
        match line.split("#", maxsplit=1)[0].split():
            case []:
                continue
            case [u, "->", v]:
                kinds.add("->")
            case [u, v] if "->" not in (u, v):
                kinds.add("-")
            case _:
                raise ConfigError(
                    f"not an edge: {line.strip()!r}", where=f"{where}, line {number}", fix=EDGE_FORM
                )
        if len(kinds) == 2:
            raise ConfigError("both 'a b' and 'a -> b' occur", where=f"{where}, line {number}", fix=EDGE_FORM)
        links.append((u, v))
    return _graph([], links, directed="->" in kinds, where=where)


def _json(content: bytes, where: str) -> nx.Graph:
    try:
        found = json.loads(_text(content, where))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", where=where) from error
    if not isinstance(found, dict):
        raise ConfigError("the file must hold one JSON object", where=where, fix=JSON_FORM)
    unknown = sorted(set(found) - {"directed", "nodes", "edges", "links", "graph", "multigraph"})
    links = found.get("edges", found.get("links"))
    nodes = found.get("nodes", [])
    directed = found.get("directed", False)
    if (
        unknown
        or not isinstance(links, list)
        or not isinstance(nodes, list)
        or not isinstance(directed, bool)
    ):
        what = (
            f"unknown key {unknown[0]!r}"
            if unknown
            else "'directed', 'nodes' or 'edges' is missing or of a wrong type"
        )
        raise ConfigError(what, where=where, fix=JSON_FORM)
    names = [_name(node["id"] if isinstance(node, dict) and "id" in node else node, where) for node in nodes]
    return _graph(names, [_json_edge(link, where) for link in links], directed=directed, where=where)


def _json_edge(link: object, where: str) -> tuple[str, str]:
    match link:
        case [u, v]:
            return _name(u, where), _name(v, where)
        case {"source": u, "target": v}:
            return _name(u, where), _name(v, where)
        case _:
            raise ConfigError(f"not an edge: {link!r}", where=where, fix=JSON_FORM)


def _name(found: object, where: str) -> str:
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)
    raise ConfigError(f"not a name of a node: {found!r}", where=where, fix="a text or a whole number")


def _graphml(content: bytes, where: str) -> nx.Graph:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ConfigError(
            "a GraphML file with a document type is not read", where=where, fix="remove <!DOCTYPE"
        )
    try:
        found = nx.read_graphml(BytesIO(content), node_type=str)
    except (ParseError, nx.NetworkXError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"not GraphML: {error}", where=where) from error
    return _graph(
        list(found), [(u, v) for u, v, *_ in found.edges], directed=found.is_directed(), where=where
    )


def _graph(names: list[str], links: Links, *, directed: bool, where: str) -> nx.Graph:
    """The plain graph; a repeated name or edge, a loop or a stranger in an edge is a ConfigError."""
    graph = nx.DiGraph() if directed else nx.Graph()
    for name in names:
        if name in graph:
            raise ConfigError(f"node {name!r} occurs twice", where=where)
        graph.add_node(name)
    for u, v in links:
        if names and not (u in graph and v in graph):
            raise ConfigError(f"edge {u} - {v} names a node that is not in the list of nodes", where=where)
        if u == v:
            raise ConfigError(
                f"edge from {u!r} to itself", where=where, fix="remove it: a node has its own model"
            )
        if graph.has_edge(u, v):
            raise ConfigError(f"edge {u} - {v} occurs twice", where=where, fix="remove one")
        graph.add_edge(u, v)
    if not graph:
        raise ConfigError("the graph has no nodes", where=where)
    return graph


def _refuse_parts(graph: nx.Graph, where: str) -> None:
    undirected = graph.to_undirected(as_view=True) if graph.is_directed() else graph
    parts = [_listed(part) for part in nx.connected_components(undirected)]
    if len(parts) > 1:
        raise ConfigError(
            f"the graph is not connected: it falls into {len(parts)} components",
            where=where,
            facts=[*parts[:SHOWN], *(["..."] if len(parts) > SHOWN else [])],
            fix="join them by edges, or use one file per component",
        )


def _listed(part: Iterable[str]) -> str:
    names = sorted(part)
    more = f", ... ({len(names)} nodes)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


EDGE_FORM = "each line is 'a b', or each line is 'a -> b' (a sends to b)"
JSON_FORM = '{"directed": false, "nodes": ["a", "b"], "edges": [["a", "b"]]}'
READERS: Mapping[str, Callable[[bytes, str], nx.Graph]] = MappingProxyType(
    {".graphml": _graphml, ".txt": _edge_list, ".edges": _edge_list, ".edgelist": _edge_list, ".json": _json}
)
