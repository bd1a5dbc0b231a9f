"""Write ``trust.toml``: comments kept, never half a file, never one that cannot be read back."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import tomlkit

from node_daemon.files import create_exclusively, make_private_folder, read_checked, write_atomically
from node_daemon.trust_file import LISTS, TRUST_PROBLEM, TrustFile, read_trust
from p2pfl.errors import ConfigError

SHORT_ID = re.compile(r"[A-Z2-7]{7}(-[A-Z2-7]{7})*")
MAX_NAME_CHARACTERS = 64

TEMPLATE = """# Whose models this node accepts, and who may have its own: full ids, or names from [names].
# p2pnode trust add, remove and list write and show it; a running node reads an edit on SIGHUP.
version = 1
mode = "{mode}"  # list: only who is named here; ticket: whoever has the network key; open: this computer
accept_from = []  # whose models may enter our average
share_with = []  # who may have our model; or "any"
observers = []  # who may have events, never models
deny = []  # overrides all of the above

[names]
"""


def create(path: Path, mode: str) -> bool:
    """Make the file unless there is one; says whether it was made."""
    make_private_folder(path.parent)
    return create_exclusively(path, TEMPLATE.format(mode=mode).encode())


def set_mode(path: Path, mode: str) -> TrustFile:
    """Change the mode, and make the file where there is none."""

    def change(document: tomlkit.TOMLDocument) -> None:
        document["mode"] = mode

    return _edit(path, mode, change)


def enter(path: Path, peer: str, lists: tuple[str, ...], *, name: str = "") -> TrustFile:
    """Write an id into these lists, and the name by which it is to be known."""
    if name:
        check_name(read_trust(path), name, peer)

    def change(document: tomlkit.TOMLDocument) -> None:
        for key in lists:
            held = document.get(key)
            if held is None:
                document[key] = held = tomlkit.array()
            if not isinstance(held, str) and peer not in _ids(read_trust(path), key):
                held.append(peer)
        if name:
            if "names" not in document:
                document["names"] = tomlkit.table()
            names = document["names"]
            assert isinstance(names, dict)
            names[name] = peer

    return _edit(path, "list", change)


def replace_lists(path: Path, lists: Mapping[str, frozenset[str]]) -> TrustFile:
    """Have these lists hold exactly these ids."""

    def change(document: tomlkit.TOMLDocument) -> None:
        for key, ids in lists.items():
            document[key] = sorted(ids)

    return _edit(path, "list", change)


def check_name(found: TrustFile, name: str, peer: str) -> None:
    """Refuse a petname that another node has, or that could be taken for an id."""
    why = ""
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        why = f"a name has at most {MAX_NAME_CHARACTERS} printable characters"
    elif SHORT_ID.fullmatch(name):
        why = "it reads like a node id"
    elif found.names.get(name, peer) != peer:
        why = f"{found.names[name]} is called that already"
    if why:
        raise ConfigError(
            f"{name[:MAX_NAME_CHARACTERS]!r} cannot name a node: {why}",
            where="--name",
            fix="another name",
            exit_code=TRUST_PROBLEM,
        )


def strike(path: Path, peer: str, lists: tuple[str, ...]) -> TrustFile:
    """Take an id, and every name for it, out of these lists."""
    found = read_trust(path)
    if found.share_with is None and "share_with" in lists:
        raise ConfigError(
            'share_with is "any": nobody can be taken off it',
            where=str(path),
            fix=f'write deny = ["{peer}"] there, or name in share_with who may have the model',
            exit_code=TRUST_PROBLEM,
        )
    texts = {peer, *(name for name, one in found.names.items() if one == peer)}

    def change(document: tomlkit.TOMLDocument) -> None:
        for key in lists:
            held = document.get(key)
            if held is None or isinstance(held, str):
                continue
            document[key] = [one for one in held if one not in texts and _full(found, one) != peer]

    return _edit(path, "list", change)


def _edit(path: Path, mode: str, change: Callable[[tomlkit.TOMLDocument], None]) -> TrustFile:
    create(path, mode)
    before = read_checked(path)
    document = tomlkit.parse(before.decode("utf-8"))
    change(document)
    write_atomically(path, [tomlkit.dumps(document).encode()])
    return read_trust(path)


def _full(found: TrustFile, text: str) -> str:
    return found.resolve(text)


def _ids(found: TrustFile, key: str) -> frozenset[str]:
    assert key in LISTS
    ids: frozenset[str] | None = getattr(found, key)
    return ids or frozenset()
