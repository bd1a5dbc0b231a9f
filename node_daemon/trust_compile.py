"""``trust compile``: both lists from a digraph, in which an edge u -> v says that u shares with v."""

from dataclasses import dataclass
from pathlib import Path

import topologies
from node_daemon import trust_edit
from node_daemon.list_check import MAX_SHOWN, known_id
from node_daemon.output import Answer
from node_daemon.paths import Paths
from node_daemon.trust_commands import BOTH, tell
from node_daemon.trust_file import TRUST_PROBLEM, TrustFile, read_trust
from p2pfl.errors import ConfigError
from p2pfl.identity.keys import short_id


@dataclass(frozen=True, slots=True)
class Compiled:
    """The lists that a graph asks for, as full ids, beside those that are in force."""

    found: TrustFile
    lists: dict[str, frozenset[str]]  # accept_from, share_with

    @property
    def has_changes(self) -> bool:
        """Would anything be written?"""
        return any(getattr(self.found, key) != ids for key, ids in self.lists.items())

    def preview(self) -> str:
        """What would come and go, a line each."""
        name_of = {peer: name for name, peer in self.found.names.items()}
        lines = []
        for key, ids in self.lists.items():
            present = getattr(self.found, key)
            if present is None:
                lines.append(f'{key:<12} no longer "any"')
            before = present or frozenset()
            for sign, changed in (("+", ids - before), ("-", before - ids)):
                words = (f"{name_of.get(peer, '')} ({short_id(peer)})".strip() for peer in sorted(changed))
                lines += [f"{key:<12} {sign} {one}" for one in words]
        return "\n".join(lines) or "the lists say so already"


def compile_lists(paths: Paths, graph_file: Path, *, me: str, my_id: str) -> Compiled:
    """What the graph asks of this node, which it calls ``me`` or by its id; raises ConfigError."""
    found = read_trust(paths.trust)
    if found.mode != "list":
        raise ConfigError(
            f"the mode is {found.mode}, in which the lists keep nobody out",
            where=str(paths.trust),
            fix='write mode = "list" there',
            exit_code=TRUST_PROBLEM,
        )
    lists = topologies.trust_lists(topologies.from_file(graph_file))
    mine = next((node for node in (me, my_id) if node in lists), None)
    if mine is None:
        raise ConfigError(
            f"the graph has no node {me!r}",
            where=str(graph_file),
            facts=[f"its nodes: {', '.join(sorted(map(str, lists))[:MAX_SHOWN])}"],
            fix="--me NAME, as the graph calls this node",
            exit_code=TRUST_PROBLEM,
        )
    wanted = {key: sorted(map(str, getattr(lists[mine], key))) for key in BOTH}
    near = sorted({node for nodes in wanted.values() for node in nodes})
    ids = {node: known_id(found, node) for node in near}
    _refuse(found, ids, graph_file)
    return Compiled(found, {key: frozenset(ids[node] for node in wanted[key]) for key in BOTH})


def _refuse(found: TrustFile, ids: dict[str, str], graph_file: Path) -> None:
    """Names that nobody knows, and nodes that are kept out on purpose."""
    unknown = [node for node, peer in ids.items() if not peer]
    if unknown:
        raise ConfigError(
            f"trust.toml knows no node called {', '.join(unknown[:MAX_SHOWN])}",
            where=str(graph_file),
            facts=[f"p2pnode trust add ID --name {node}" for node in unknown[:MAX_SHOWN]],
            fix="these commands, with the ID that p2pnode id prints on each of them",
            exit_code=TRUST_PROBLEM,
        )
    denied = [node for node, peer in ids.items() if peer in found.deny]
    if denied:
        raise ConfigError(
            f"the graph has an edge with {', '.join(denied)}, whom trust.toml denies",
            where=str(graph_file),
            fix="take the edge out of the graph, or the node off deny",
            exit_code=TRUST_PROBLEM,
        )


def write(paths: Paths, compiled: Compiled) -> Answer:
    """Put the lists into the file; in force before this returns, if the node runs."""
    if compiled.has_changes:
        trust_edit.replace_lists(paths.trust, compiled.lists)
        tell(paths)
    data: dict[str, object] = {key: sorted(ids) for key, ids in compiled.lists.items()}
    data["changed"] = compiled.has_changes
    return Answer(data, f"{compiled.preview()}\n({paths.trust})")
