"""What the operating system grants, and what happened to this node on this machine."""

import resource
from collections.abc import Callable, Sequence

from node_daemon.doctor.finding import Case, Finding, fail, ok, warn
from node_daemon.journal import read_journal
from node_daemon.logs import utc_now

FILES_AT_LEAST = 128  # descriptors: libraries, checkpoints, a few links
FILES_PER_PEER = 4  # links, one that replaces another, an attempt


def clock(_case: Case, *, now: Callable[[], str] = utc_now) -> Sequence[Finding]:
    """The wall clock, for display only."""
    return ok("clock", f"{now()}; for display only, nothing depends on it")


def open_files(case: Case, *, limit: Callable[[], int] | None = None) -> Sequence[Finding]:
    """So many files and connections may be open at once."""
    soft = (limit or (lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]))()
    wanted = FILES_AT_LEAST + FILES_PER_PEER * case.settings.network.min_peers
    remedy = "ulimit -n 4096, or LimitNOFILE=4096 in the service's unit"
    if soft == resource.RLIM_INFINITY:
        return ok("open-files", "no limit")
    if soft < FILES_AT_LEAST:
        return fail("open-files", f"only {soft} may be open at once, {wanted} are wanted", remedy)
    if soft < wanted:
        return warn("open-files", f"{soft} may be open at once, {wanted} are wanted", remedy)
    return ok("open-files", f"{soft} may be open at once")


def duplicate_id(case: Case) -> Sequence[Finding]:
    """Has another process been met, since the last start, that runs under this node's id, or a peer's?"""
    seen: dict[str, str] = {}
    for record in read_journal(case.paths.state):
        if record.get("event") == "node.listening":
            seen.clear()
        elif "duplicate_id" in (record.get("code"), record.get("reason")):
            seen[str(record.get("peer"))] = str(record.get("ts"))
    if seen:
        peer, when = list(seen.items())[-1]
        remedy = "a folder or machine was copied: stop one of the two, and p2pnode init it in an empty home"
        return fail("duplicate-id", f"two processes ran under one id, with {peer} at {when}", remedy)
    return ok("duplicate-id", "none was met since the last start")
