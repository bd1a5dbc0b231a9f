"""``invite`` and ``join``: a network on another machine with one line."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, count

from node_daemon import trust_edit
from node_daemon.assembly import listen_host
from node_daemon.choices import check_names
from node_daemon.config import IMPORT_PATH, Config, load_config
from node_daemon.control_client import request
from node_daemon.edit import set_value, template
from node_daemon.files import (
    create_exclusively,
    load_or_create_identity,
    make_private_folder,
    read_checked,
)
from node_daemon.layers import flatten
from node_daemon.list_check import default_topology, with_topology
from node_daemon.output import Answer
from node_daemon.paths import Paths
from node_daemon.sections import Settings
from node_daemon.trust_file import TRUST_PROBLEM, read_network_key, read_trust
from p2pfl.discovery.interfaces import announced_addresses, local_interfaces
from p2pfl.errors import ConfigError, P2PError
from p2pfl.identity.keys import short_id
from p2pfl.identity.ticket import MAX_ADDRESSES, PlanValue, Ticket, decode_ticket, encode_ticket
from p2pfl.transports.addresses import EVERY_INTERFACE, format_address, parse_address

PLAN_SECTIONS = ("topology", "protocol", "task")
PLAN_SEED = "network.seed"
LOCAL_OPTIONS = ("path", "names")  # of a graph or data in a file: the other machine has its own


def invite(paths: Paths, config: Config, *, addresses: Sequence[str] = ()) -> Answer:
    """The ticket of this network, with this node as the one to go to first."""
    found = read_trust(paths.trust)
    if found.mode == "open":
        raise ConfigError(
            "a network in mode open has no tickets: whoever reaches it is in",
            where=str(paths.trust),
            fix='write mode = "ticket" there, on all its nodes',
            exit_code=TRUST_PROBLEM,
        )
    identity = load_or_create_identity(paths.identity.parent)
    key = read_network_key(paths.network_key) if found.mode == "ticket" else None
    settings = with_topology(config, found.mode).settings
    reachable = tuple(addresses) or _addresses(paths, settings, found.mode)
    plan = plan_settings(settings, mode=found.mode)
    line = encode_ticket(Ticket(settings.network.name, identity.id, reachable, key, plan))
    data = {"ticket": line, "is_secret": key is not None, "addresses": list(reachable), "plan": dict(plan)}
    return Answer(data, line)


def warning(answer: Answer) -> str:
    """What to know about a ticket before handing it on."""
    if answer.data["is_secret"]:
        return (
            "keep this line secret: whoever has it can take part.  On the other machine: p2pnode join TICKET"
        )
    return (
        "on the other machine: p2pnode join TICKET; then, here, p2pnode trust add its id (p2pnode id there)"
    )


def plan_settings(settings: Settings, *, mode: str = "ticket") -> dict[str, PlanValue]:
    """What all nodes must have in common, as far as it differs from the defaults of their mode.

    Names of code are left out: nothing that comes with a ticket may choose what runs.
    """
    mine, default = flatten(settings.model_dump(mode="json")), flatten(Settings().model_dump(mode="json"))
    default["topology.name"] = default_topology(mode)
    keys = [key for key in mine if key.partition(".")[0] in PLAN_SECTIONS or key == PLAN_SEED]
    found: dict[str, PlanValue] = {}
    for key in keys:
        value = mine[key]
        is_plain = isinstance(value, bool | int | float | str)
        is_code = isinstance(value, str) and IMPORT_PATH.fullmatch(value) is not None
        is_local = key.rpartition(".")[2] in LOCAL_OPTIONS
        if is_plain and not is_code and not is_local and value != default.get(key):
            assert isinstance(value, bool | int | float | str)
            found[key] = value
    return found


def _addresses(paths: Paths, settings: Settings, mode: str) -> tuple[str, ...]:
    """Where others reach this node: as it listens now, or, while it does not run, as it is configured."""
    host, port = listen_host(settings, mode), settings.network.port
    with suppress(P2PError):  # it does not run, or does not listen yet
        host, port = parse_address(str(request(paths.socket, "status")["address"]))
    if port == 0 and settings.network.mdns:
        return ()  # to be found by looking round
    if port == 0:
        raise ConfigError(
            "the node takes any free port, and does not run now",
            where="network.port",
            fix="p2pnode start it first, or give it a port",
        )
    if host not in EVERY_INTERFACE:
        return (format_address(host, port),)
    hosts = announced_addresses(host, local_interfaces(), limit=MAX_ADDRESSES)
    return tuple(format_address(one, port) for one in hosts)


def read_ticket(text: str) -> Ticket:
    """The ticket in a line; raises ConfigError, also for one that wants more than a plan may say."""
    ticket = decode_ticket(text)
    for key, value in ticket.plan.items():
        is_plan = key.partition(".")[0] in PLAN_SECTIONS or key == PLAN_SEED
        is_code = isinstance(value, str) and IMPORT_PATH.fullmatch(value) is not None
        if not is_plan or is_code or key.rpartition(".")[2] in LOCAL_OPTIONS:
            raise ConfigError(
                f"the ticket wants to set {key} = {value!r}, which is no part of a plan",
                where="ticket",
                fix="ask whoever made it",
                exit_code=TRUST_PROBLEM,
            )
    for address in ticket.addresses:
        parse_address(address)
    return ticket


def wishes(ticket: Ticket) -> dict[str, object]:
    """The settings that a ticket leads to, by dotted key."""
    return {"network.name": ticket.network, **ticket.plan, "network.static": list(ticket.addresses)}


def suggested_name(paths: Paths, ticket: Ticket) -> str:
    """What the inviter may be called here, in mode list: as it is already, or after its network."""
    found = read_trust(paths.trust)
    present = [name for name, peer in found.names.items() if peer == ticket.node]
    if present:
        return present[0]
    later = (f"{ticket.network}-{number}" for number in count(2))
    return next(name for name in chain([ticket.network], later) if name not in found.names)


def preview(paths: Paths, ticket: Ticket, *, inviter: str = "") -> str:
    """What ``join`` would change, for whoever is to consent."""
    present = _present(paths)
    mode = "ticket" if ticket.network_key is not None else "list"
    inviter = inviter or suggested_name(paths, ticket)
    lines = [
        f"network   {ticket.network}, with node {ticket.node}",
        f"trust     mode {mode}"
        if mode == "ticket"
        else f"trust     mode list: {inviter} ({short_id(ticket.node)}), both ways",
    ]
    for key, value in wishes(ticket).items():
        before = present.get(key)
        now = "" if before in (None, value) else f"  (now {before})"
        lines.append(f"set       {key} = {value}{now}")
    if mode == "ticket":
        lines.append(f"key       {paths.network_key}")
    return "\n".join(lines)


def join(paths: Paths, ticket: Ticket, *, name: str | None = None, inviter: str = "") -> Answer:
    """Write what a ticket says: settings, trust, and the network key; makes the identity if there is none.

    ``inviter`` is the petname of the node that made the ticket, in mode list.
    """
    inviter = inviter or suggested_name(paths, ticket)
    trust_edit.check_name(read_trust(paths.trust), inviter, ticket.node)
    identity = load_or_create_identity(paths.identity.parent)
    if ticket.network_key is not None:
        _write_key(paths, ticket.network_key)  # first: it refuses another network's
    make_private_folder(paths.config.parent)
    first = {"network.name": ticket.network, "node.name": name}
    create_exclusively(paths.config, template({k: v for k, v in first.items() if v is not None}).encode())
    for key, value in _in_order(wishes(ticket)).items():
        set_value(paths.config, key, _as_text(value), check=check_names)
    if ticket.network_key is not None:
        trust_edit.set_mode(paths.trust, "ticket")
    else:
        trust_edit.set_mode(paths.trust, "list")
        trust_edit.enter(paths.trust, ticket.node, ("accept_from", "share_with"), name=inviter)
    data = {"id": identity.id, "network": ticket.network, "config": str(paths.config)}
    lines = [f"joined    {ticket.network}", f"ID        {identity.id}"]
    if ticket.network_key is None:
        data["inviter"] = inviter
        lines += [f"inviter   {inviter}", f"there     p2pnode trust add {identity.id} --name NAME"]
    return Answer(data, "\n".join([*lines, f"next      p2pnode start{paths.home_option}"]))


def _in_order(values: Mapping[str, object]) -> dict[str, object]:
    """Names before their options: an option of another item would be refused."""
    return dict(sorted(values.items(), key=lambda pair: not pair[0].endswith(".name")))


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return str(value)


def _present(paths: Paths) -> dict[str, object]:
    if not paths.config.is_file():
        return {}
    return load_config(file=paths.config).effective()


def _write_key(paths: Paths, key: bytes) -> None:
    if create_exclusively(paths.network_key, key):
        return
    if read_checked(paths.network_key, is_secret=True) != key:
        raise ConfigError(
            "this node has another network key already",
            where=str(paths.network_key),
            fix="it belongs to another network: join with another --home, or move the key away",
            exit_code=TRUST_PROBLEM,
        )
