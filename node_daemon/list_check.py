"""Whether the lists of ``trust.toml`` fit the graph: an edge is of use only if both of its ends agree.

The topology ``trust`` is made of the lists and always fits.  In any other all members know each other, both
ways; of a graph in a file a node needs its own neighbours, as the edges say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import topologies
from node_daemon.choices import TRUST
from node_daemon.config import Config, load_config
from node_daemon.paths import home_paths, user_paths
from node_daemon.sections import Settings
from node_daemon.trust_file import TRUST_PROBLEM, TrustFile, read_trust
from p2pfl.errors import ConfigError
from p2pfl.identity.keys import short_id

DEFAULTS: Mapping[str, str] = {"list": TRUST}  # by mode; elsewhere the section's own
MAX_SHOWN = 32


def default_topology(mode: str) -> str:
    """The topology of a node that names none."""
    return DEFAULTS.get(mode, Settings().topology.name)


def load_node_config(
    flags: Mapping[str, object] | None = None, *, home: Path | None = None, file: Path | None = None
) -> Config:
    """The configuration as a node in this place runs with it: the graph, if none is named, goes by the mode.

    Raises ConfigError for a config or a ``trust.toml`` that is wrong.
    """
    config = load_config(flags, home=home, file=file)
    paths = home_paths(home) if home is not None else user_paths(config.settings.network.name)
    return with_topology(config, read_trust(paths.trust).mode)


def with_topology(config: Config, mode: str) -> Config:
    """The configuration with the topology that goes with the mode, if it names none."""
    if config.is_given("topology.name"):
        return config
    section = config.settings.topology.model_copy(update={"name": default_topology(mode)})
    return replace(config, settings=config.settings.model_copy(update={"topology": section}))


@dataclass(frozen=True, slots=True)
class Demand:
    """What the graph asks of this node for another one; ``id`` is "" while nobody knows it."""

    name: str
    id: str
    accept: bool = True
    share: bool = True

    def remedy(self, found: TrustFile) -> str:
        """The command that puts right what is missing; "" when nothing is."""
        trust = found.trust
        accept = self.accept and not (self.id and trust.accepts(self.id))
        share = self.share and not (self.id and trust.shares_with(self.id))
        if not (accept or share):
            return ""
        which = "" if accept and share else " --accept-only" if accept else " --share-only"
        if not self.id:
            return f"p2pnode trust add ID --name {self.name}{which}  (its ID: p2pnode id there)"
        return f"p2pnode trust add {self.name or self.id}{which}"


def check_lists(settings: Settings, found: TrustFile, me: str) -> None:
    """Refuse lists that keep models from an edge of the graph; ``me`` is this node's id.

    Raises ConfigError that names who is missing, with the command for each.
    """
    if found.mode != "list" or settings.topology.name == TRUST:
        return
    missing = [
        (demand, remedy) for demand in demands(settings, found, me) if (remedy := demand.remedy(found))
    ]
    if not missing:
        return
    names = ", ".join(demand.name or short_id(demand.id) for demand, _ in missing[:MAX_SHOWN])
    raise ConfigError(
        f"topology {settings.topology.name} needs nodes that know each other, and trust.toml lacks: {names}",
        where="topology.name",
        facts=[remedy for _, remedy in missing[:MAX_SHOWN]],
        fix='these commands; or topology.name = "trust", where the lists themselves are the graph',
        exit_code=TRUST_PROBLEM,
    )


def demands(settings: Settings, found: TrustFile, me: str) -> Sequence[Demand]:
    """What the graph asks for everybody who is known before the start."""
    if settings.topology.name == "file":
        return _of_file(settings, found, me)
    name_of = {peer: name for name, peer in found.names.items()}
    known = found.accept_from | (found.share_with or frozenset()) | frozenset(name_of)
    return [Demand(name_of.get(peer, ""), peer) for peer in sorted(known - found.deny - {me})]


def unlisted(settings: Settings, found: TrustFile, members: Sequence[str]) -> list[str]:
    """Members of the running network that the lists keep from an edge of the graph."""
    if found.mode != "list" or settings.topology.name in (TRUST, "file"):
        return []
    trust = found.trust
    return [peer for peer in members if not (trust.accepts(peer) and trust.shares_with(peer))]


def _of_file(settings: Settings, found: TrustFile, me: str) -> list[Demand]:
    options = settings.topology.options
    path = str(options.get("path", ""))
    names = cast(Mapping[str, str], options.get("names") or {})  # member id -> node of the file
    lists = topologies.trust_lists(topologies.from_file(path))
    mine = next((node for node in (names.get(me, ""), settings.node.name, me) if node in lists), None)
    if mine is None:
        raise ConfigError(
            f"the graph has no node {settings.node.name!r}",
            where=path,
            facts=[f"its nodes: {', '.join(sorted(map(str, lists))[:MAX_SHOWN])}"],
            fix="node.name as the graph has it",
            exit_code=TRUST_PROBLEM,
        )
    id_of = {node: peer for peer, node in names.items()}
    near = sorted(map(str, lists[mine].accept_from | lists[mine].share_with))
    return [
        Demand(
            node,
            id_of.get(node) or known_id(found, node),
            accept=node in lists[mine].accept_from,
            share=node in lists[mine].share_with,
        )
        for node in near
    ]


def known_id(found: TrustFile, node: str) -> str:
    """The id of a graph's node, which is named by a petname or a full id; "" when it is neither."""
    try:
        return found.resolve(node)
    except ConfigError:
        return ""
