"""``init`` and ``config``: make a node's files, show and change its settings."""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from node_daemon.choices import check_choices, check_names
from node_daemon.config import Config
from node_daemon.edit import set_value, template
from node_daemon.files import create_exclusively, load_or_create_identity, make_private_folder
from node_daemon.output import Answer, table
from node_daemon.paths import CONFIG_NAME, Paths
from node_daemon.plan import plan_of
from node_daemon.trust_edit import create
from node_daemon.trust_file import DEFAULT_MODE, MODES, TRUST_PROBLEM, read_trust
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.identity.keys import network_id
from p2pfl.identity.transcript import NETWORK_KEY_BYTES


def init(
    paths: Paths, values: Mapping[str, object], *, home: Path | None = None, mode: str | None = None
) -> Answer:
    """Make the identity and commented files for settings and trust; what is there already stays as it is.

    In mode ticket this is the first node of its network, which makes the network key.
    """
    if mode is not None and mode not in MODES:
        raise unknown_name("mode", mode, MODES, where="--mode")
    given = {key: value for key, value in values.items() if value is not None}
    if isinstance(name := given.get("network.name"), str):
        network_id(name, where="--network")  # refuses a bad name before anything is written
    identity = load_or_create_identity(paths.identity.parent)
    make_private_folder(paths.config.parent)
    kept_mode = _make_trust(paths, mode)
    is_new = create_exclusively(paths.config, template(given).encode())
    data = {
        "id": identity.id,
        "identity": str(paths.identity),
        "config": str(paths.config),
        "config_written": is_new,
        "trust": str(paths.trust),
        "mode": kept_mode,
    }
    kept = "" if is_new else "  (was there, unchanged)"
    where = "" if home is None else f" --home {shlex.quote(str(home))}"
    network = "" if home is not None or name is None or is_new else f" --network {name}"
    lines = [
        f"ID        {identity.id}",
        f"identity  {paths.identity}",
        f"config    {paths.config}{kept}",
        f"trust     {paths.trust}  (mode {kept_mode})",
        *_next(kept_mode, where + network),
    ]
    if given and not is_new:
        lines += [
            f"change    p2pnode config set {key} {shlex.quote(str(value))}{where}"
            for key, value in given.items()
        ]
    return Answer(data, "\n".join(lines))


def _next(mode: str, options: str) -> list[str]:
    """The commands that follow, by who may get in."""
    lines = [f"next      p2pnode start{options}"]
    if mode == "list":
        lines.append(
            f"then      p2pnode trust add ID --name NAME{options}   (the ID that p2pnode id prints there)"
        )
    elif mode == "ticket":
        lines.append(f"then      p2pnode invite{options}   (and p2pnode join on the other machines)")
    return lines


def _make_trust(paths: Paths, mode: str | None) -> str:
    """The mode that holds in the end; raises ConfigError when a file says another than is asked for."""
    create(paths.trust, mode or DEFAULT_MODE)
    found = read_trust(paths.trust).mode
    if mode is not None and found != mode:
        raise ConfigError(
            f"the mode of this node is {found} already",
            where=str(paths.trust),
            fix=f'to change it, write mode = "{mode}" there',
            exit_code=TRUST_PROBLEM,
        )
    if found == "ticket":
        create_exclusively(paths.network_key, os.urandom(NETWORK_KEY_BYTES))
    return found


def show(config: Config, *, has_origins: bool) -> Answer:
    """Effective values, and where each came from."""
    values = config.effective()
    origins = {key: config.where(key) for key in values}
    rows = [
        (key, _text(value), origins[key]) if has_origins else (key, _text(value))
        for key, value in values.items()
    ]
    columns = ("KEY", "VALUE", "ORIGIN") if has_origins else ("KEY", "VALUE")
    data: dict[str, object] = {"settings": values}
    if has_origins:
        data["origins"] = origins
    return Answer(data, table(columns, rows))


def path(paths: Paths, file: Path | None) -> Answer:
    """Where the files are."""
    where = {
        "config": str(_edited(paths, file)),
        "identity": str(paths.identity),
        "state": str(paths.state),
        "socket": str(paths.socket),
    }
    text = "\n".join(f"{name:<10}{value}" for name, value in where.items())
    return Answer(where, f"{text}\n{paths.note}" if paths.note else text)


def check(config: Config) -> Answer:
    """Validate everything that can be validated without starting."""
    check_choices(config)
    plan = plan_of(config.settings)
    return Answer({"valid": True, "plan": plan.hash.hex(), "plan_words": plan.words}, f"valid: {plan.words}")


def change(paths: Paths, file: Path | None, assignment: tuple[str, str]) -> Answer:
    """Set one key of the config file that counts most, unless the result would be invalid."""
    key, text = assignment
    target = _edited(paths, file)
    config = set_value(target, key, text, check=check_names)
    value = config.effective().get(key)
    data = {"key": key, "value": value, "file": str(target)}
    return Answer(data, f"{key} = {_text(value)}  ({target})")


def _edited(paths: Paths, file: Path | None) -> Path:
    """The strongest file: the one named, else the one in the working folder, else the node's own."""
    if file is not None:
        return file
    is_home = paths.config.parent == paths.identity.parent and paths.state.parent == paths.config.parent
    here = Path(CONFIG_NAME)
    return here if here.is_file() and not is_home else paths.config


def _text(value: object) -> str:
    """A value as one would write it in TOML, texts without quotation marks."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
