"""Why a node ends by itself: what it says, and what its owner can do."""

from pathlib import Path

from node_daemon.sections import Settings
from p2pfl.errors import P2PError, StateError
from p2pfl.peer.status import PeerStatus

WAIT_RAN_OUT = 9  # exit code


def disk_failed(problem: str, *, state: Path) -> StateError:
    """With ``node.strict_disk``: a checkpoint cannot be written."""
    return StateError(
        f"a checkpoint cannot be written: {problem}",
        where="node.strict_disk",
        facts=[f"the newest intact one is in {state}"],
        fix="repair the disk or make room, then start again; without --strict-disk the node goes on",
    )


def not_finite(problem: str, settings: Settings) -> P2PError | None:
    """The model has been put back already; whether to go on with it is the operator's to say."""
    if settings.node.not_finite != "stop":
        return None
    return P2PError(
        "training gives numbers that are none",
        where="node.not_finite",
        facts=[problem],
        fix="a smaller [task] step; look at the data; then start again from the last good checkpoint",
    )


def nobody_came(status: PeerStatus, *, wanted: int, wait_s: float) -> P2PError:
    """With ``--wait``: too few nodes were there in time."""
    return P2PError(
        f"only {status.members} of {wanted} nodes were there after {wait_s:g} s",
        where="network.min_peers",
        facts=[f"last problem: {status.last_problem}"] if status.last_problem else [],
        fix="start the others, name them in network.static, or wait longer",
        exit_code=WAIT_RAN_OUT,
    )
