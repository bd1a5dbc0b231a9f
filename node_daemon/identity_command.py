"""``id``: the node's identity, read from its key."""

from node_daemon.files import read_checked
from node_daemon.output import Answer
from node_daemon.paths import Paths
from p2pfl.errors import ConfigError
from p2pfl.identity.keys import from_pem

NO_IDENTITY = 7  # exit code


def show_id(paths: Paths) -> Answer:
    """The full id; raises ConfigError (exit code 7) when there is no identity, or an unsafe one."""
    try:
        pem = read_checked(paths.identity, is_secret=True)
    except FileNotFoundError as error:
        raise ConfigError(
            "this node has no identity yet",
            where=str(paths.identity),
            fix="p2pnode init",
            exit_code=NO_IDENTITY,
        ) from error
    identity = from_pem(pem, where=str(paths.identity))
    return Answer({"id": identity.id}, identity.id)
