"""Puts a node together from its settings: everything that a ``Peer`` is made of."""

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import topologies
from node_daemon.choices import TRUST, make_task, protocol_class
from node_daemon.files import make_private_folder, write_atomically
from node_daemon.local_data import training_rows
from node_daemon.paths import Paths
from node_daemon.plan import Plan
from node_daemon.sections import Settings
from node_daemon.trust_file import TrustFile, read_network_key
from p2pfl import registry
from p2pfl.aggregation.blocks import Rule, aggregate
from p2pfl.barrier import SETTLE_S
from p2pfl.discovery.discovery import Discovery
from p2pfl.errors import ConfigError
from p2pfl.identity.admission import Admission
from p2pfl.identity.certificate import certificate_pem
from p2pfl.identity.handshake import Credentials
from p2pfl.identity.keys import Identity
from p2pfl.learning.learner import Learner, LearnerSetup, Schema
from p2pfl.membership import Membership, Rumour, State, Timing
from p2pfl.model import Checkpoint, Model
from p2pfl.node import Node
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.roster import GraphWiring, WiringFactory
from p2pfl.transports.tls import Security, make_security
from p2pfl.trust import Trust
from p2pfl.version import __version__
from p2pfl.wire.packets import MAJOR_VERSION, MINOR_VERSION, Greeting

SPARSE_FROM = 512  # members from which mixing weights are kept sparse
PATIENCE_S = 86_400.0  # for links to all neighbours, where nothing may depend on time
LOOPBACK = ("127.0.0.1", "::1", "localhost")
AGGREGATION = "mean"


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What is learned here: the learner on this node's rows, and a second one that only evaluates."""

    learner: Learner
    judge: Learner
    train_rows: int
    test_rows: int


@dataclass(frozen=True, slots=True)
class Me:
    """Who this node is in this start."""

    id: str
    name: str
    number: int
    incarnation: int


def listen_host(settings: Settings, mode: str) -> str:
    """The address to bind: every interface, since only known keys get past the handshake; in mode open the
    loopback, unless the operator has accepted an open network.
    """
    is_shut = mode == "open" and not settings.network.insecure
    return settings.network.host or ("127.0.0.1" if is_shut else "0.0.0.0")  # noqa: S104


def check_host(settings: Settings, mode: str) -> None:
    """Refuse to listen to other machines in mode open unless the operator has said that this is meant."""
    host = listen_host(settings, mode)
    if mode == "open" and host not in LOOPBACK and not settings.network.insecure:
        raise ConfigError(
            f"network.host is {host}, which other machines can reach",
            facts=["in mode open links are neither encrypted nor authenticated"],
            fix="use mode ticket (p2pnode init --mode ticket) or list; on a network you trust, --insecure",
        )
    if mode != "open" and settings.network.insecure:
        raise ConfigError(
            f"insecure is for mode open, and the mode of this node is {mode}",
            facts=["its links are encrypted, and only known keys get in"],
            fix="leave --insecure (network.insecure) out",
        )


def make_admission(found: TrustFile, paths: Paths) -> Admission:
    """Whom the node lets in; raises ConfigError when the network key of mode ticket is not there."""
    key = read_network_key(paths.network_key) if found.mode == "ticket" else None
    return Admission(found.trust, network_key=key)


def make_links_secure(identity: Identity, network: bytes, admission: Admission, *, paths: Paths) -> Security:
    """TLS with the node's key; its certificate is made where it is missing or another's."""
    pem = certificate_pem(identity)
    if not paths.certificate.is_file() or paths.certificate.read_bytes() != pem:
        make_private_folder(paths.certificate.parent)
        write_atomically(paths.certificate, [pem])
    credentials = Credentials(identity, network, (MAJOR_VERSION, MINOR_VERSION))
    return make_security(credentials, admission, certificate=paths.certificate, key=paths.identity)


def node_number(settings: Settings, node_id: str) -> int:
    """What addresses the node's random draws: as configured, else 32 bits of its id's hash."""
    if settings.node.number is not None:
        return settings.node.number
    return int.from_bytes(hashlib.sha256(node_id.encode()).digest()[:4], "big")


def make_work(settings: Settings, plan: Plan, number: int) -> Work:
    """Load the data and make the learner; raises ConfigError when something is missing."""
    task = make_task(settings)
    dataset = task.dataset()
    rows = training_rows(settings, dataset)
    setup = LearnerSetup(
        seed=settings.network.seed,
        number=number,
        rounds=plan.rounds,
        device=settings.node.device,
        is_deterministic=settings.node.deterministic,
    )
    learner = task.learner(rows, dataset.test, setup)
    return Work(learner, task.learner(rows, dataset.test, setup), len(rows), len(dataset.test))


def make_membership(me: Me, *, is_deterministic: bool = False) -> Membership:
    """The node's table of members, with itself in it; in a deterministic run nobody is declared dead."""
    timing = Timing(suspicion_s=PATIENCE_S) if is_deterministic else Timing()
    return Membership(Rumour(me.id, me.incarnation, State.ALIVE, me.name), timing)


def make_node(
    settings: Settings,
    plan: Plan,
    me: Me,
    *,
    work: Work,
    membership: Membership,
    trust: Trust,
    checkpoint: Checkpoint | None,
    model: Model | None = None,
) -> Node:
    """The pure node: protocol, membership, trust and graph; restored if there is a checkpoint.

    ``model`` is what a fresh one begins with, by default what all nodes of the run begin with.
    """
    rule = cast(Rule, registry.resolve("aggregation", AGGREGATION))
    protocol = protocol_class(settings)
    setup = Setup(
        me=me.id,
        number=me.number,
        model=model or work.learner.initial(),
        seed=settings.network.seed,
        rounds=plan.rounds,
        aggregate=partial(aggregate, rule),
        samples=work.train_rows,
        start=me.incarnation,
    )
    node = Node(
        me.id,
        protocol=protocol(setup, **protocol_options(settings, protocol)),  # type: ignore[call-arg]
        membership=membership,
        wiring=None if settings.topology.name == TRUST else wiring_factory(settings),
        trust=trust,
        min_members=settings.network.min_peers,
        settle_s=PATIENCE_S if settings.node.deterministic else SETTLE_S,
    )
    if checkpoint is not None:
        node.restore(checkpoint.snapshot)
    return node


def protocol_options(settings: Settings, protocol: type[ExchangeProtocol]) -> dict[str, object]:
    """The options as given, and where trust is the graph those for it.

    A deterministic run has no deadlines and waits for the killed, unless told.
    """
    options: dict[str, object] = dict(settings.protocol.options)
    if settings.topology.name == TRUST:
        options |= registry.local_options(settings.protocol.name, protocol, given=options)
    if settings.node.deterministic:
        known = inspect.signature(protocol).parameters
        defaults = {"round_timeout_s": 0.0, "lockstep": True}
        options = {name: value for name, value in defaults.items() if name in known} | options
    return options


def wiring_factory(settings: Settings) -> WiringFactory:
    """The graph over the members present: a pure function of the settings and the roster.

    A graph file is read once, now: what becomes of it later does not matter to a run.
    """
    section = settings.topology
    if section.name != "file":
        return partial(_family_wiring, settings)
    graph = topologies.from_file(str(section.options.get("path", "")))
    names = cast(Mapping[str, str] | None, section.options.get("names"))

    def wiring(roster: Mapping[str, str]) -> GraphWiring:
        present = topologies.graph_in_file(graph, list(roster), roster if names is None else names)
        return GraphWiring(tuple(present), topologies.static(present, sparse=len(roster) > SPARSE_FROM))

    return wiring


def _family_wiring(settings: Settings, roster: Mapping[str, str]) -> GraphWiring:
    section = settings.topology
    options = dict(section.options)
    graph = topologies.for_members(section.name, list(roster), settings.network.seed, **options)
    return GraphWiring(tuple(graph), topologies.static(graph, sparse=len(roster) > SPARSE_FROM))


def make_greeting(me: Me, plan: Plan, *, network: bytes, schema: Schema) -> Greeting:
    """What this start of the node says of itself."""
    return Greeting(
        id=me.id,
        name=me.name,
        network=network,
        incarnation=me.incarnation,
        boot=os.urandom(8),
        plan=plan.hash,
        plan_words=plan.words,
        version=__version__,
        schema=schema.hash,
        schema_words=schema.words,
    )


def make_discoveries(settings: Settings) -> list[Discovery]:
    """What finds peers: the static list, which may grow later, and mDNS, unless it is off."""
    network = settings.network
    static = cast(Callable[[Sequence[str]], Discovery], registry.resolve("discovery", "static"))
    found = [static(network.static)]
    if network.mdns:
        mdns = cast(Callable[[], Discovery], registry.resolve("discovery", "mdns"))
        found.append(mdns())
    return found
