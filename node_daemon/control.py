"""The daemon's control socket: commands of its owner, and of nobody else.

A unix socket, mode 0600; each connection brings one JSON line ``{"command", "arguments"}`` and gets one back,
``{"schema_version", "result"}`` or ``{"schema_version", "error"}``.  Sizes, time and connections are bounded.
"""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from node_daemon.control_client import MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Json
from node_daemon.output import SCHEMA_VERSION, error_fields
from p2pfl.errors import P2PError, StateError, unknown_name

MAX_CONNECTIONS = 16
REQUEST_TIMEOUT_S = 5.0
LAST_ANSWERS_S = 0.5  # for those who are being answered when the node stops

Command: TypeAlias = Callable[[Mapping[str, Json]], Awaitable[Mapping[str, Json]]]


class ControlServer:
    """Answers commands by name for as long as it is open."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; the caller holds the lock of the state folder, so that a socket found there is stale."""
        listener = _bind(self._path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_REQUEST_BYTES)

    async def close(self) -> None:
        """Stop listening, drop what is unanswered, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)
        _, late = await asyncio.wait(self._serving, timeout=LAST_ANSWERS_S) if self._serving else ((), ())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._serving) <= MAX_CONNECTIONS and _is_owner(writer.get_extra_info("socket")):
                writer.write(await self._answer(reader))
                await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT_S)
        except (TimeoutError, ConnectionError):
            pass  # whoever asked has gone away, or never asked
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_TIMEOUT_S)
            response: dict[str, Json] = {"result": dict(await self._run(line))}
        except P2PError as error:
            response = {"error": error_fields(error)}
        except ValueError:  # readline: longer than the limit
            response = {"error": error_fields(P2PError(f"the request exceeds {MAX_REQUEST_BYTES} bytes"))}
        encoded = json.dumps({"schema_version": SCHEMA_VERSION} | response).encode() + b"\n"
        if len(encoded) > MAX_RESPONSE_BYTES:
            return json.dumps({"error": error_fields(P2PError("the answer is too long"))}).encode() + b"\n"
        return encoded

    async def _run(self, line: bytes) -> Mapping[str, Json]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise P2PError("the request is not JSON") from error
        name = request.get("command") if isinstance(request, dict) else None
        if not isinstance(name, str):
            raise P2PError("the request names no command")
        if name not in self._commands:
            raise unknown_name("command", name, self._commands)
        arguments = request.get("arguments")
        return await self._commands[name](arguments if isinstance(arguments, dict) else {})


def _bind(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.getuid():
            raise StateError(
                "the folder of the control socket belongs to somebody else", where=str(path.parent)
            )
        path.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # before the name exists, where the platform heeds it
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise StateError(
            f"cannot make the control socket: {error.strerror or error}", where=str(path)
        ) from error
    listener.listen(MAX_CONNECTIONS)
    listener.setblocking(False)  # noqa: FBT003
    return listener


def _is_owner(connection: socket.socket) -> bool:
    """Is the other side this user or root?  Where the platform does not tell, the file mode decides."""
    if sys.platform != "linux":
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in (0, os.getuid())
