"""The table of checks: a new one is a function and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass

from node_daemon.doctor import files, installation, learning, machine, network, peers, storage
from node_daemon.doctor.finding import Check


@dataclass(frozen=True, slots=True)
class Timed:
    """A check, and the seconds that it may take."""

    check: Check
    limit_s: float = 15.0


CHECKS: Mapping[str, Timed] = {
    "python": Timed(installation.python),
    "packages": Timed(installation.packages),
    "identity": Timed(files.identity),
    "config": Timed(files.config, 30.0),  # loads the code that is named
    "trust": Timed(files.trust),
    "state": Timed(storage.state),
    "checkpoint": Timed(storage.stored, 60.0),  # hashes a whole file
    "disk": Timed(storage.disk),
    "clock": Timed(machine.clock),
    "open-files": Timed(machine.open_files),
    "duplicate-id": Timed(machine.duplicate_id),
    "port": Timed(network.port),
    "firewall": Timed(network.firewall),
    "mdns": Timed(network.mdns),
    "peers": Timed(peers.peers, 45.0),
    "dataset": Timed(learning.dataset, 60.0),
    "training": Timed(learning.training, 90.0),
}
