"""The everyday commands: what the running node answers, put into words.

Imports nothing heavy: ``status`` is typed often.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from node_daemon.control_client import Json, request
from node_daemon.output import Answer, duration, fits, rate, table
from node_daemon.paths import Paths
from p2pfl.errors import P2PError
from p2pfl.versions import versions

FOLLOW_S = 0.2  # between looks at a log that is followed
LOG_BLOCK_BYTES = 65_536
MAX_LOG_LINES = 100_000
NOBODY = "no other node is known yet; p2pnode doctor says why, p2pnode peers --pending who was turned away"
LISTS = ("I ACCEPT", "I SHARE", "ACCEPTS ME", "SHARES", "LAST MODEL", "REFUSED")
USUAL = ("NAME", "ID", "PATH", "STATE", *LISTS)
DISPENSABLE = ("PATH", "ID")  # given up one by one where the terminal is too narrow
WIDE = ("NAME", "ID", "ADDRESS", "PATH", "STATE", "SENDS TO", "RECEIVES", *LISTS)


def status(paths: Paths) -> Answer:
    """One node at a glance."""
    found = request(paths.socket, "status")
    return Answer(found, _status_text(found))


def peers(paths: Paths, *, is_wide: bool = False) -> Answer:
    """The other members, as this node sees them; ``is_wide`` shows addresses and edges too."""
    found = request(paths.socket, "peers")
    listed = found.get("peers")
    rows = [_peer_row(row) for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    columns = _columns(rows, is_wide=is_wide)
    shown = [[row[column] for column in columns] for row in rows]
    text = table(columns, shown) if rows else NOBODY
    return Answer(found, "\n".join([text, *_disagreements(listed)]))


def _disagreements(rows: Json) -> list[str]:
    """Linked peers that know other members: soon over, unless somebody's lists are incomplete."""
    if not isinstance(rows, list):
        return []
    names = [str(row.get("name")) for row in rows if isinstance(row, dict) and row.get("agrees") is False]
    if not names:
        return []
    return [
        f"{', '.join(names)} sees other members than this node; if that lasts, a node is missing on a list:",
        "compare p2pnode trust list on both, and p2pnode trust add what is missing",
    ]


def pending(paths: Paths) -> Answer:
    """Strangers who knocked and are on no list."""
    found = request(paths.socket, "peers").get("pending")
    strangers = found if isinstance(found, dict) else {}
    rows = [[peer, where] for peer, where in strangers.items()]
    text = f"{table(('ID', 'CAME FROM'), rows)}\nto allow one: p2pnode trust add ID" if rows else "nobody"
    return Answer({"pending": strangers}, text)


def simple(paths: Paths, command: str) -> Answer:
    """A command whose answer is the state that the node is in now."""
    found = request(paths.socket, command)
    return Answer(found, str(found.get("state", "")))


def evaluate(paths: Paths) -> Answer:
    """The running node's model on its test data."""
    found = request(paths.socket, "eval")
    text = (
        f"round {found.get('round')}   accuracy {_figure(found.get('accuracy'))}   "
        f"macro-F1 {_figure(found.get('macro_f1'))}   loss {_figure(found.get('loss'))}   "
        f"({found.get('count')} test samples)"
    )
    return Answer(found, text)


def version() -> Answer:
    """Of the program, the wire protocol, python, the libraries and the platform."""
    data = versions()
    return Answer(data, "\n".join(f"{name:<10}{value}" for name, value in data.items()))


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of the log; raises P2PError when there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            block = b""
            while end > 0 and block.count(b"\n") <= min(lines, MAX_LOG_LINES):
                start = max(0, end - LOG_BLOCK_BYTES)
                file.seek(start)
                block = file.read(end - start) + block
                end = start
    except OSError as error:
        raise P2PError(f"there is no log: {error.strerror}", where=str(path), fix="p2pnode start") from error
    return block.decode("utf-8", "replace").splitlines()[-lines:] if lines else []


def log_text(path: Path, lines: int, *, is_followed: bool) -> Iterator[str]:
    """The end of the log, then, without end, what is written to it."""
    yield "".join(f"{line}\n" for line in tail(path, lines))
    if not is_followed:
        return
    with path.open("r", encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        while True:
            text = file.read(LOG_BLOCK_BYTES)
            if not text:
                time.sleep(FOLLOW_S)
            yield text


def _status_text(found: dict[str, Json]) -> str:
    uptime_s = found.get("uptime_s")
    change = found.get("accuracy_change")
    trend = f" ({change:+.3f} in {found.get('change_rounds')} rounds)" if isinstance(change, float) else ""
    up, down = found.get("sent_bytes_per_s"), found.get("received_bytes_per_s")
    first = [
        f"{found.get('state')} {duration(uptime_s) if isinstance(uptime_s, int | float) else ''}".strip(),
        f"round {found.get('round')}{_of(found.get('rounds'))}",
        f"accuracy {_figure(found.get('accuracy'))}{trend}",
        f"up {rate(up) if isinstance(up, int | float) else '-'}",
        f"down {rate(down) if isinstance(down, int | float) else '-'}",
    ]
    members = found.get("members")
    others = members - 1 if isinstance(members, int) else "?"
    second = (
        f"peers {found.get('linked')} up of {others}      last problem: {found.get('last_problem') or 'none'}"
    )
    third = f"\ndegraded: {found['degraded']}" if found.get("degraded") else ""
    return "   ".join(first) + "\n" + second + third


def _of(rounds: Json) -> str:
    return f" of {rounds}" if rounds else ""


def _figure(value: Json) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


def _columns(rows: Sequence[Mapping[str, object]], *, is_wide: bool) -> Sequence[str]:
    """All columns, or as many of the usual ones as the terminal has room for."""
    if is_wide:
        return WIDE
    columns = list(USUAL)
    for name in DISPENSABLE:
        if not fits(columns, [[row[column] for column in columns] for row in rows]):
            columns.remove(name)
    return columns


def _peer_row(row: dict[str, Json]) -> dict[str, object]:
    last_s, last_round = row.get("last_model_s"), row.get("last_model_round")
    last = f"{duration(last_s)} ago (r{last_round})" if isinstance(last_s, int | float) else "-"
    if not (row.get("sends_to") or row.get("receives_from")) and row.get("state") == "up":
        last = "no edge"  # the graph has none between the two now, whatever it had before
    accepts, shares = row.get("accepts_us"), row.get("shares_with_us")
    return {
        "NAME": row.get("name"),
        "ID": str(row.get("id"))[:7],
        "ADDRESS": re.sub(r"^tcp://", "", str(row.get("address"))),
        "PATH": row.get("path"),
        "STATE": row.get("state"),
        "SENDS TO": row.get("sends_to"),
        "RECEIVES": row.get("receives_from"),
        "I ACCEPT": row.get("accepted"),
        "I SHARE": row.get("shared_with"),
        "ACCEPTS ME": "?" if accepts is None else accepts,
        "SHARES": "?" if shares is None else shares,
        "LAST MODEL": last,
        "REFUSED": _refusals(row),
    }


def _refusals(row: dict[str, Json]) -> str:
    """How many models were refused, here and by the peer, and why."""
    here, there, reasons = row.get("refused"), row.get("refused_there"), row.get("reasons")
    words = f" ({', '.join(sorted(reasons))})" if isinstance(reasons, dict) and reasons else ""
    return f"{here}, there {there}{words}" if there else f"{here}{words}"
