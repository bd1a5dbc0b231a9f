import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from node_daemon.control import MAX_CONNECTIONS, ControlServer
from node_daemon.control_client import MAX_REQUEST_BYTES, Json, request
from p2pfl.errors import P2PError


async def echo(arguments: Mapping[str, Json]) -> Mapping[str, Json]:
    return {"echo": dict(arguments)}


async def fail(_: Mapping[str, Json]) -> Mapping[str, Json]:
    raise P2PError("it is broken", where="here", facts=["a fact"], fix="mend it", exit_code=5)


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = ControlServer(tmp_path / "run" / "c.sock", {"echo": echo, "fail": fail})
    await server.start()
    yield tmp_path / "run" / "c.sock"
    await server.close()
    assert not (tmp_path / "run" / "c.sock").exists()


async def test_a_request_is_answered(path: Path) -> None:
    assert await asyncio.to_thread(request, path, "echo", {"a": [1, "ü"]}) == {"echo": {"a": [1, "ü"]}}


async def test_an_error_arrives_as_it_was_raised(path: Path) -> None:
    with pytest.raises(P2PError, match="it is broken") as caught:
        await asyncio.to_thread(request, path, "fail")

    error = caught.value
    assert (error.where, error.facts, error.fix, error.exit_code) == ("here", ("a fact",), "mend it", 5)


async def test_an_unknown_command_gets_a_suggestion(path: Path) -> None:
    with pytest.raises(P2PError, match="unknown command 'ecko'") as caught:
        await asyncio.to_thread(request, path, "ecko")

    assert caught.value.fix == "did you mean echo?"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"hello\n", "not JSON"),
        (b"[]\n", "names no command"),
        (b'{"command": 3}\n', "names no command"),
        (b"\n", "not JSON"),
        (b"x" * (2 * MAX_REQUEST_BYTES), "exceeds"),
    ],
)
async def test_nonsense_is_answered_with_an_error(path: Path, line: bytes, problem: str) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(line)

    answer = json.loads(await asyncio.wait_for(reader.read(), 5))

    assert problem in answer["error"]["what"]
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_only_the_owner_can_open_the_socket(path: Path) -> None:
    assert [stat.S_IMODE(os.stat(each).st_mode) for each in (path, path.parent)] == [0o600, 0o700]


async def test_silent_connections_are_limited_and_do_not_stop_the_others(path: Path) -> None:
    silent = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CONNECTIONS)]

    with pytest.raises(P2PError, match="cannot be reached"):
        await asyncio.to_thread(request, path, "echo")
    for _, writer in silent:
        writer.close()
        await writer.wait_closed()

    assert await asyncio.to_thread(request, path, "echo") == {"echo": {}}


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "c.sock"))
    stale.close()
    server = ControlServer(tmp_path / "c.sock", {"echo": echo})

    await server.start()

    assert await asyncio.to_thread(request, tmp_path / "c.sock", "echo") == {"echo": {}}
    await server.close()


@pytest.mark.parametrize("is_stale", [False, True])
def test_without_a_daemon_the_exit_code_is_4(tmp_path: Path, is_stale: bool) -> None:
    if is_stale:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(tmp_path / "c.sock"))
        stale.close()

    with pytest.raises(P2PError, match="the node is not running") as caught:
        request(tmp_path / "c.sock", "status")

    assert caught.value.exit_code == 4
    assert caught.value.fix == "p2pnode start"
