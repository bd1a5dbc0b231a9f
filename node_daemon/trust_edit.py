"""Write ``trust.toml``: comments kept, never half a file, never one that cannot be read back."""

from collections.abc import Callable
from pathlib import Path

import tomlkit

from node_daemon.files import create_exclusively, make_private_folder, read_checked, write_atomically
from node_daemon.trust_file import LISTS, TRUST_PROBLEM, TrustFile, read_trust
from p2pfl.errors import ConfigError

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
