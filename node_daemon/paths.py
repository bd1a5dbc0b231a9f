"""Where a node's files are: one folder with ``--home``, the platform's folders otherwise.

Imports nothing heavy: ``status`` and ``stop`` need it to find the control socket.
"""

import hashlib
import os
import shlex
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from p2pfl.errors import ConfigError

PROGRAM = "p2pnode"
CONFIG_NAME = "p2pnode.toml"
DEFAULT_NETWORK = "default"
SYSTEM_CONFIG = Path("/etc")
MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 104 bytes on macOS, 108 on Linux


@dataclass(frozen=True, slots=True)
class Paths:
    """The files and folders of one node; ``note`` says what is not where one would look for it."""

    config: Path
    identity: Path
    state: Path
    socket: Path
    note: str = ""

    @property
    def trust(self) -> Path:
        """Whose models are accepted, and who may have ours."""
        return self.identity.parent / "trust.toml"

    @property
    def network_key(self) -> Path:
        """The secret that the nodes of a network in ticket mode share."""
        return self.identity.parent / "network.key"

    @property
    def certificate(self) -> Path:
        """What TLS shows of the identity; made anew when it is missing."""
        return self.state / "tls-cert.pem"

    @property
    def home_option(self) -> str:
        """`` --home DIR`` for a command that names this node, where all is in one folder; else ""."""
        home = self.state.parent
        return f" --home {shlex.quote(str(home))}" if home == self.config.parent else ""

    @property
    def log(self) -> Path:
        """The daemon's log, which ``p2pnode logs`` shows."""
        return self.state / "daemon.log"


def home_paths(home: Path) -> Paths:
    """All files in one folder; a socket whose path would be too long goes to the runtime folder."""
    home = home.absolute()
    socket, note = home / "control.sock", ""
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
        digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
        socket = runtime_folder() / f"{digest}.sock"
        note = f"the path of {home} is too long for a socket; it is {socket}"
    return Paths(home / CONFIG_NAME, home / "identity.key", home / "state", socket, note)


def user_paths(network: str) -> Paths:
    """The folders of this user (of the system, for root) for one network."""
    config, state = user_config_folder(), user_state_folder()
    return Paths(
        config / CONFIG_NAME, config / "identity.key", state / network, runtime_folder() / f"{network}.sock"
    )


def user_config_folder() -> Path:
    """``~/.config/p2pnode``; for root ``/etc/p2pnode`` where it exists."""
    return _folder("config")


def user_state_folder() -> Path:
    """``~/.local/state/p2pnode``, with a folder per network; for root ``/var/lib/p2pnode`` as a service."""
    return _folder("state")


def runtime_folder() -> Path:
    """``$XDG_RUNTIME_DIR/p2pnode``; ``/run/p2pnode`` for a service of the system."""
    return _folder("runtime")


def _folder(kind: str) -> Path:
    if os.getuid() == 0 and (SYSTEM_CONFIG / PROGRAM).is_dir():  # a service of the system
        root = {"config": SYSTEM_CONFIG, "state": Path("/var/lib"), "runtime": Path("/run")}[kind]
        return root / PROGRAM
    folders = platformdirs.PlatformDirs(PROGRAM, appauthor=False)
    match kind:
        case "config":
            return folders.user_config_path
        case "state":
            return folders.user_state_path
        case _:
            with warnings.catch_warnings():  # a missing XDG_RUNTIME_DIR is common, and the fallback is sound
                warnings.simplefilter("ignore")
                return folders.user_runtime_path


def config_files(home: Path | None, named: Path | None, environment: Mapping[str, str]) -> list[Path]:
    """The config files to read, the strongest first; a named one must exist.

    With ``home`` only the one in it counts.
    """
    if home is not None:
        if named is not None:
            raise ConfigError("--home and --config exclude each other", fix="give one of them", exit_code=2)
        return [path for path in [home / CONFIG_NAME] if path.is_file()]
    chosen = named or (Path(environment["P2PNODE_CONFIG"]) if environment.get("P2PNODE_CONFIG") else None)
    if chosen is not None and not chosen.is_file():
        origin = "--config" if named else "P2PNODE_CONFIG"
        raise ConfigError(
            f"there is no config file {str(chosen)!r}", where=origin, fix=f"p2pnode init, or correct {origin}"
        )
    others = [path for path in (Path(CONFIG_NAME), user_config_folder() / CONFIG_NAME) if path.is_file()]
    if chosen is None:
        return others
    # Absolute, so that the same file, found in the working folder, is neither read twice nor distrusted.
    return [chosen.absolute(), *(path for path in others if not path.samefile(chosen))]


def find_paths(
    *,
    home: Path | None = None,
    network: str | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Paths:
    """The paths of the node meant by these flags, found without validating its configuration."""
    if home is not None:
        return home_paths(home)
    variables = os.environ if environment is None else environment
    name = network or variables.get("P2PNODE_NETWORK__NAME")
    if name is None:
        names = (_network_name(path) for path in config_files(None, config, variables))
        name = next((found for found in names if found), DEFAULT_NETWORK)
    return user_paths(name)


def _network_name(path: Path) -> str | None:
    """``network.name`` of a config file; what is wrong with the file is for ``config check`` to say."""
    try:
        section = tomllib.loads(path.read_text("utf-8")).get("network")
    except (OSError, ValueError):
        return None
    name = section.get("name") if isinstance(section, dict) else None
    return name if isinstance(name, str) else None
