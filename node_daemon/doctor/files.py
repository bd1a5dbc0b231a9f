"""Are identity, settings and trust there, sound, and the owner's alone?"""

import stat
from collections.abc import Sequence

from node_daemon.choices import check_choices
from node_daemon.config import Config
from node_daemon.doctor.finding import Case, Finding, fail, ok, warn
from node_daemon.files import read_checked
from node_daemon.output import all_of
from node_daemon.trust_file import TrustFile, read_network_key, read_trust
from p2pfl.errors import ConfigError, P2PError
from p2pfl.identity.keys import from_pem, short_id


def identity(case: Case) -> Sequence[Finding]:
    """The key of the node: it loads, and nobody else can read it."""
    path = case.paths.identity
    try:
        found = from_pem(read_checked(path, is_secret=True), where=str(path))
    except FileNotFoundError:
        return warn("identity", f"there is none yet in {path}", "p2pnode init makes one")
    mode = stat.S_IMODE(path.stat().st_mode)
    return ok("identity", f"{path}, mode {mode:04o}, ID {short_id(found.id)}")


def config(case: Case) -> Sequence[Finding]:
    """The settings: every source is valid, every key known, every name that is chosen exists."""
    if isinstance(case.config, P2PError):
        return _all(case.config)
    try:
        check_choices(case.config)
    except ConfigError as error:
        return _all(error)
    return ok("config", f"valid, 0 unknown keys, {_sources(case.config)}")


def trust(case: Case) -> Sequence[Finding]:
    """Whom the node lets in: the file is sound, and somebody is in it."""
    found = read_trust(case.paths.trust)
    match found.mode:
        case "open":
            return _open(case)
        case "ticket":
            read_network_key(case.paths.network_key)
            return ok("trust", f"mode ticket: whoever has the network key, {len(found.deny)} denied")
        case _:
            return _listed(found)


def _listed(found: TrustFile) -> Sequence[Finding]:
    shares = "anybody" if found.share_with is None else str(len(found.share_with))
    words = f"mode list: accept {len(found.accept_from)}, share with {shares}"
    if not found.accept_from and found.share_with == frozenset():
        return warn("trust", f"{words}: nobody gets in", "p2pnode trust add ID, or p2pnode join TICKET")
    return ok("trust", words)


def _open(case: Case) -> Sequence[Finding]:
    if case.settings.network.insecure:
        remedy = "p2pnode init --mode ticket in a new home, unless you trust everybody on the network"
        return warn("trust", "mode open and insecure: anybody who reaches the port takes part", remedy)
    return ok("trust", "mode open: this computer only, unencrypted")


def _all(error: P2PError) -> Sequence[Finding]:
    errors = all_of(error)
    fixes = "p2pnode config check says it in full"
    return [
        finding
        for one in errors
        for finding in fail("config", "; ".join([str(one), *one.facts]), one.fix or fixes)
    ]


def _sources(config: Config) -> str:
    files = [layer.origin for layer in config.layers if layer.text]
    return f"from {', '.join(files)}" if files else "no file: defaults"
