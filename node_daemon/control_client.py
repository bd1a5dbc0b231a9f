"""Ask a running daemon: one JSON line out, one JSON line back, over its unix socket.

Blocking, and free of heavy imports, so that ``status`` and ``stop`` answer at once.
"""

import json
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from p2pfl.errors import P2PError

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MAX_REQUEST_BYTES = 1 << 16
MAX_RESPONSE_BYTES = 1 << 22
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 120.0  # an evaluation takes its time
NOT_RUNNING = 4  # exit code
HOME_SOCKET = "control.sock"  # a home's; elsewhere a socket has its network's name


def request(path: Path, command: str, arguments: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """The daemon's answer to one command.

    Raises P2PError: with exit code 4 when no daemon answers, otherwise with what the daemon said.
    """
    line = json.dumps({"command": command, "arguments": dict(arguments or {})}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_TIMEOUT_S)
            connection.connect(str(path))
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.sendall(line)
            answer = _read_line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise P2PError(
            "the node is not running",
            facts=[f"nothing listens on its control socket {path}"],
            fix=f"p2pnode start{_home(path)}",
            exit_code=NOT_RUNNING,
        ) from error
    except TimeoutError as error:
        raise _unreachable(path, "it did not answer in time") from error
    except OSError as error:
        raise _unreachable(path, error.strerror or str(error)) from error
    return _result(path, answer)


def _home(path: Path) -> str:
    """The option that names the node, where all its files are in one folder."""
    return f" --home {shlex.quote(str(path.parent))}" if path.name == HOME_SOCKET else ""


def _read_line(connection: socket.socket) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while not (chunks and chunks[-1].endswith(b"\n")) and size <= MAX_RESPONSE_BYTES:
        chunk = connection.recv(65536)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _result(path: Path, answer: bytes) -> dict[str, Json]:
    try:
        response = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise _unreachable(path, "it ended before it answered") from error
    if not isinstance(response, dict):
        raise _unreachable(path, "its answer makes no sense")
    failure = response.get("error")
    if isinstance(failure, dict):
        raise P2PError(
            str(failure.get("what", "the command failed")),
            where=str(failure.get("where", "")),
            facts=[str(fact) for fact in failure.get("facts", [])],
            fix=str(failure.get("fix", "")),
            exit_code=int(failure.get("code", 1)),
        )
    result = response.get("result")
    return result if isinstance(result, dict) else {}


def _unreachable(path: Path, why: str) -> P2PError:
    return P2PError(
        f"the node cannot be reached: {why}",
        where=str(path),
        fix="look at its log: p2pnode logs",
        exit_code=NOT_RUNNING,
    )
