"""What to do when a peer cannot be had, by the code of the refusal."""

from collections.abc import Mapping

from node_daemon.doctor.finding import Case

REMEDIES: Mapping[str, str] = {
    "not_admitted": "there: p2pnode trust add with the id that p2pnode id prints here (mode ticket: join)",
    "not_listed": "p2pnode trust add with the id of that node, or take its address out of network.static",
    "wrong_key": "another node answers at this address: correct it, or trust the new id",
    "wrong_network": "both nodes need network.name = {network!r}",
    "wrong_network_key": "p2pnode invite on a node of this network, p2pnode join here",
    "wrong_plan": "both nodes need the same [topology], [protocol], [task] and network.seed",
    "wrong_version": "install the same version of p2pnode on both",
    "no_tls": "use the same mode in trust.toml on both; or something else listens on that port",
    "duplicate_id": "a folder was copied: p2pnode init one of the two in an empty home",
    "own_id": "this address is our own, or a copy of this node: take it out of network.static",
    "crowded": "too many connections reach it at once: try again",
}


def remedy_for(code: str, case: Case) -> str:
    """What to do about a refusal with this code."""
    found = REMEDIES.get(code, "p2pnode logs, here and there, says more")
    return found.format(network=case.settings.network.name)
