"""``trust add``, ``remove``, ``list``: who may have my model, and whose model I accept."""

from node_daemon import trust_edit
from node_daemon.control_client import NOT_RUNNING, request
from node_daemon.identity_command import show_id
from node_daemon.output import Answer, table
from node_daemon.paths import Paths
from node_daemon.trust_file import TRUST_PROBLEM, TrustFile, nobody_listed, read_trust
from p2pfl.errors import ConfigError, P2PError
from p2pfl.identity.keys import short_id

BOTH = ("accept_from", "share_with")
SAID = ("accepts_us", "shares_with_us")  # by a peer, of its own lists


def directions(*, accept_only: bool, share_only: bool) -> tuple[str, ...]:
    """The lists that a command is about."""
    if accept_only and share_only:
        raise ConfigError("--accept-only and --share-only exclude each other", fix="give one", exit_code=2)
    return BOTH[:1] if accept_only else BOTH[1:] if share_only else BOTH


def add(paths: Paths, who: str, lists: tuple[str, ...], *, name: str = "") -> Answer:
    """Put a node on lists; takes effect before this returns, if the node runs."""
    found = read_trust(paths.trust)
    peer = found.resolve(who, where="the command line")
    _refuse_own(paths, peer)
    return _changed(paths, trust_edit.enter(paths.trust, peer, lists, name=name), peer)


def remove(paths: Paths, who: str, lists: tuple[str, ...]) -> Answer:
    """Take a node off lists: its link is cut, and what it sent and is not used yet is dropped."""
    found = read_trust(paths.trust)
    peer = found.resolve(who, where="the command line")
    return _changed(paths, trust_edit.strike(paths.trust, peer, lists), peer)


def show(paths: Paths) -> Answer:
    """The mode and both directions for everybody who is named; with the words of those that are linked."""
    said = _said(paths)
    found = read_trust(paths.trust)
    names = {peer: name for name, peer in found.names.items()}
    everybody = sorted(found.accept_from | (found.share_with or frozenset()) | found.observers | found.deny)
    trust = found.trust
    rows = [
        [
            names.get(peer, "-"),
            short_id(peer),
            peer in found.accept_from and trust.accepts(peer),
            trust.shares_with(peer),
            *said.get(peer, ("?", "?")),
            peer in found.observers,
            peer in found.deny,
        ]
        for peer in everybody
    ]
    data: dict[str, object] = {
        "mode": found.mode,
        "accept_from": sorted(found.accept_from),
        "share_with": "any" if found.share_with is None else sorted(found.share_with),
        "observers": sorted(found.observers),
        "deny": sorted(found.deny),
        "names": dict(found.names),
        "said": {peer: dict(zip(SAID, words, strict=True)) for peer, words in said.items()},
    }
    columns = ("NAME", "ID", "I ACCEPT", "I SHARE", "ACCEPTS ME", "SHARES", "OBSERVES", "DENIED")
    if not rows:
        return Answer(data, f"mode {found.mode}\n{nobody_listed(found) or 'nobody is listed'}")
    full = table(("NAME", "ID IN FULL"), [[names.get(peer, "-"), peer] for peer in everybody])
    return Answer(data, f"mode {found.mode}\n{table(columns, rows)}\n\n{full}")


def _refuse_own(paths: Paths, peer: str) -> None:
    """The usual slip: the id is to be added on the other node."""
    if not paths.identity.exists() or show_id(paths).data["id"] != peer:
        return
    raise ConfigError(
        f"{short_id(peer)} is this node itself",
        where="the command line",
        fix="run this on the other node; here goes the id that p2pnode id prints there",
        exit_code=TRUST_PROBLEM,
    )


def _said(paths: Paths) -> dict[str, tuple[object, ...]]:
    """What linked peers say of their own lists: whether we stand in them; nothing while the node is down."""
    try:
        rows = request(paths.socket, "peers").get("peers")
    except P2PError:
        return {}
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row["id"]): tuple(row[key] for key in SAID) for row in listed if row[SAID[0]] is not None}


def _changed(paths: Paths, found: TrustFile, peer: str) -> Answer:
    tell(paths)
    trust = found.trust
    accepts, shares = peer in (trust.accept_from or ()), trust.shares_with(peer)
    words = f"{short_id(peer)}  I accept: {_yes(accepts)}   I share: {_yes(shares)}   ({paths.trust})"
    if found.mode == "ticket":
        words += "\nmode ticket: whoever has the network key is accepted all the same, unless denied"
    return Answer({"id": peer, "accepted": accepts, "shared_with": shares}, words)


def tell(paths: Paths) -> None:
    """Have a running node read the file; one that does not run reads it when it starts."""
    try:
        request(paths.socket, "reload", {"only": "trust"})
    except P2PError as error:
        if error.exit_code != NOT_RUNNING:
            raise


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
