"""The graph over the members of a network whose number changes while it runs.

A graph is a pure function of name, options, the set of members and the seed, so that equal rosters give
equal graphs without a message.  Sizes are checked once, at the start (``check``); afterwards a graph is
made for every number of members.  What a family cannot do for that number, rings do.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from itertools import pairwise
from typing import cast

import networkx as nx

from p2pfl.errors import ConfigError
from topologies import load
from topologies.catalogue import build, check_options, maker
from topologies.checks import SizeError, whole

Names = Mapping[str, str]


def check(name: str, n: int | None = None, seed: int = 0, **options: object) -> None:
    """Before the start: does the family exist for ``n`` members, with these options?

    Without ``n`` only the options are checked.  Raises ConfigError that says what would work.
    """
    check_options(name, maker(name), options)
    if name == "file":
        for_members(name, ["any"], seed, **options)
        return
    if name == "partial_mesh":
        _even(options.get("degree", 4))
    try:
        build(name, 1 if n is None else n, seed, **options)
    except SizeError:
        if n is not None:
            raise


def for_members(name: str, members: Collection[str], seed: int = 0, **options: object) -> nx.Graph:
    """The graph over ``members``; its nodes are their ids, in graph order.

    ``partial_mesh``, and every family that does not exist for this number of members, is made of rings
    (``rings``).  ``file`` takes ``path`` and ``names`` (member id -> name in the file; absent: the id).
    """
    check_options(name, maker(name), options)
    roster = sorted(set(members))
    if not roster:
        raise ConfigError("a graph needs at least one member")
    if name == "file":
        read = cast("type[nx.Graph]", load("topologies.files:from_file"))
        return graph_in_file(read(options.get("path", "")), roster, names_in_file(options.get("names")))
    if name == "partial_mesh":
        return rings(roster, _even(options.get("degree", 4)), seed)
    try:
        made = build(name, len(roster), seed, **options)
    except SizeError as error:
        return rings(roster, error.stand_in_degree, seed)
    return nx.relabel_nodes(made, dict(enumerate(roster)))


def rings(members: Collection[str], degree: int, seed: int = 0) -> nx.Graph:
    """``degree / 2`` rings through all members, ring k sorted by SHA-256(seed, k, id).

    Connected for every number of members.  One who joins or leaves changes, in each ring, only the edges
    beside it.  An edge that two rings share counts once, so that a few nodes have fewer neighbours.
    """
    made = nx.Graph()
    made.add_nodes_from(sorted(members))
    for number in range(degree // 2):
        order = sorted(members, key=lambda member: _place(seed, number, member))
        made.add_edges_from((u, v) for u, v in pairwise([*order, order[0]]) if u != v)
    return made


def graph_in_file(graph: nx.Graph, members: Collection[str], names: Names) -> nx.Graph:
    """The part of a file's graph that is present: members in the file's order, then the isolated rest."""
    member_of = {names.get(member, member): member for member in sorted(members, reverse=True)}
    present = [node for node in graph if node in member_of]
    made = graph.__class__()
    made.add_nodes_from(member_of[node] for node in present)
    made.add_nodes_from(sorted(set(members) - set(made)))
    made.add_edges_from((member_of[u], member_of[v]) for u, v in graph.subgraph(present).edges)
    return made


def names_in_file(found: object) -> Names:
    """The option ``names`` as a mapping of texts, or a ConfigError."""
    if found is None:
        return {}
    if isinstance(found, Mapping) and all(isinstance(text, str) for pair in found.items() for text in pair):
        return found
    raise ConfigError(f"names must be a table of member id = node name in the file, found {found!r}")


def _place(seed: int, number: int, member: str) -> bytes:
    return sha256(f"{seed}\0{number}\0{member}".encode()).digest()


def _even(degree: object) -> int:
    degree = whole("degree", degree, at_least=2)
    if degree % 2:
        raise ConfigError(
            f"degree of a partial_mesh of daemons must be even (it is made of rings), found {degree}",
            fix=f"degree = {degree - 1} or {degree + 1}" if degree > 2 else "degree = 2",
        )
    return degree
