"""``trust.toml``: whose models this node accepts, who may have its own, and how nodes prove that they belong.

It lies beside the identity, and comes from nowhere else: neither the working folder nor the environment may
say whom to trust.  Imports nothing heavy: ``trust list`` is typed often.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node_daemon.files import read_checked
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.identity.keys import format_id, parse_id
from p2pfl.identity.transcript import NETWORK_KEY_BYTES
from p2pfl.trust import Trust

MODES = ("list", "ticket", "open")
DEFAULT_MODE = "list"
ANYBODY = "any"  # of share_with
LISTS = ("accept_from", "share_with", "observers", "deny")
KEYS = ("version", "mode", *LISTS, "names")
VERSION = 1
TRUST_PROBLEM = 7  # exit code
MAX_LISTED = 4096


@dataclass(frozen=True, slots=True)
class TrustFile:
    """What ``trust.toml`` says, names already resolved to full ids."""

    mode: str = DEFAULT_MODE
    accept_from: frozenset[str] = frozenset()
    share_with: frozenset[str] | None = frozenset()  # None: anybody
    observers: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)  # petname -> full id

    @property
    def trust(self) -> Trust:
        """The lists as the node applies them; in mode open there are none."""
        if self.mode == "open":
            return Trust(deny=self.deny)
        return Trust(self.accept_from, self.share_with, self.observers, self.deny)

    def resolve(self, text: str, *, where: str = "") -> str:
        """The full id behind a petname or a pasted id; never a short one."""
        if text in self.names:
            return self.names[text]
        meant = unknown_name("name", text, sorted(self.names), where=where)
        if meant.fix:
            raise ConfigError(meant.what, where=where, fix=meant.fix, exit_code=TRUST_PROBLEM)
        return format_id(parse_id(text, where=where))


def read_trust(path: Path) -> TrustFile:
    """The file, or mode ``list`` with empty lists when there is none; raises ConfigError (exit code 7)."""
    try:
        text = read_checked(path).decode("utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        return TrustFile()
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(f"not valid TOML: {error}", path) from error
    return _checked(values, path)


def _checked(values: Mapping[str, object], path: Path) -> TrustFile:
    for key in values:
        if key not in KEYS:
            raise unknown_name("setting", key, KEYS, where=str(path))
    if values.get("version", VERSION) != VERSION:
        raise _bad(f"version {values['version']!r}; this program reads version {VERSION}", path)
    mode = values.get("mode", DEFAULT_MODE)
    if mode not in MODES:
        raise unknown_name("mode", str(mode), MODES, where=str(path))
    names = _names(values.get("names", {}), path)
    named = TrustFile(names=names)
    found = {name: _ids(values.get(name, []), name, named, path=path) for name in LISTS}
    is_anybody = values.get("share_with") == ANYBODY
    return TrustFile(
        mode=str(mode),
        accept_from=found["accept_from"],
        share_with=None if is_anybody else found["share_with"],
        observers=found["observers"],
        deny=found["deny"],
        names=names,
    )


def _names(table: object, path: Path) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(one, str) for one in table.values()):
        raise _bad("[names] must be a table of names and full ids", path)
    return {name: format_id(parse_id(one, where=f"{path}, names.{name}")) for name, one in table.items()}


def _ids(value: object, key: str, named: TrustFile, *, path: Path) -> frozenset[str]:
    if key == "share_with" and value == ANYBODY:
        return frozenset()
    is_list = isinstance(value, list) and len(value) <= MAX_LISTED
    if not isinstance(value, list) or not is_list or not all(isinstance(one, str) for one in value):
        anybody = ', or "any"' if key == "share_with" else ""
        allowed = f"a list of at most {MAX_LISTED} ids or names{anybody}"
        raise _bad(f"{key} must be {allowed}", path)
    return frozenset(named.resolve(one, where=f"{path}, {key}") for one in value)


def read_network_key(path: Path) -> bytes:
    """The network key of ticket mode; raises ConfigError (exit code 7) when it is missing or unsafe."""
    try:
        key = read_checked(path, is_secret=True)
    except FileNotFoundError as error:
        raise ConfigError(
            "mode is ticket, but there is no network key",
            where=str(path),
            fix="on the first node p2pnode init --mode ticket, on all others p2pnode join TICKET",
            exit_code=TRUST_PROBLEM,
        ) from error
    if len(key) != NETWORK_KEY_BYTES:
        raise _bad(f"a network key has {NETWORK_KEY_BYTES} bytes, not {len(key)}", path)
    return key


def _bad(what: str, path: Path) -> ConfigError:
    return ConfigError(what, where=str(path), exit_code=TRUST_PROBLEM)


def nobody_listed(found: TrustFile) -> str:
    """What to do while the lists keep everybody out; "" when they name somebody, or do not decide."""
    everybody = found.accept_from | (found.share_with or frozenset())
    if found.mode != "list" or found.share_with is None or everybody - found.deny:
        return ""
    return (
        "trust.toml names nobody, so nobody gets in; on every other node: p2pnode id, and here, with "
        "what it prints: p2pnode trust add ID --name NAME; then the same the other way round"
    )
