"""Where strangers come in when links are secure: each is counted, timed and can be cut before TLS begins.

A connection that is still shaking hands costs memory by the hundred kilobytes, so the gate stands before it;
and TLS begins when the whole of the client's greeting is there, so that whoever says nothing, or a byte now
and then, costs a socket and no more.
"""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from p2pfl.errors import RemoteError
from p2pfl.transports.addresses import format_address
from p2pfl.transports.fence import tell_of_connection
from p2pfl.transports.tls import Security, tls_problem
from p2pfl.wire.limits import Limits

BACKLOG = 100
RECORD_HEADER = struct.Struct(">BHH")  # of TLS: kind, version, length
HANDSHAKE_RECORD = 0x16
MAX_HELLO_BYTES = 16 * 1024
LOOK_S = 0.05  # between two looks at a greeting that comes in pieces
LEAST_S = 1e-3
OUT_OF_FILES_PAUSE_S = 1.0  # the process has no descriptors left: others may end meanwhile


class Knock:
    """An accepted connection on which TLS is not up yet."""

    def __init__(self, connection: socket.socket, address: str) -> None:
        self.connection = connection
        self.address = address
        self.problem: RemoteError | None = None  # why there was no TLS
        self.is_begun = False
        self.task: asyncio.Task[None]

    def abort(self, _reason: str) -> None:
        """Cut the connection without a word; the event loop alone would first wait for a good-bye of TLS."""
        with suppress(OSError):  # the other side has left already
            self.connection.shutdown(socket.SHUT_RDWR)
        self.task.cancel()


class TlsDoor:
    """Listens, and starts TLS on what it accepts.

    ``knocked`` is asked first whether a connection may begin, ``welcome`` makes its protocol, and ``left`` is
    told when there was no TLS, with the reason unless the other side has just gone.
    """

    def __init__(
        self,
        security: Security,
        limits: Limits,
        *,
        welcome: Callable[[Knock], asyncio.BaseProtocol],
        knocked: Callable[[Knock], bool],
        left: Callable[[Knock, RemoteError | None], None],
    ) -> None:
        self._security = security
        self._limits = limits
        self._welcome = welcome
        self._knocked = knocked
        self._left = left
        self._listener: socket.socket
        self._is_open = False
        self._pause: asyncio.TimerHandle | None = None  # while there are no descriptors

    def change_limits(self, limits: Limits) -> None:
        """Other limits, for those who knock from now on."""
        self._limits = limits

    def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the host and port in use.  Raises OSError when they are not to be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._listener.settimeout(0)
        self._is_open = True
        self._watch()
        found: tuple[str, int] = self._listener.getsockname()[:2]
        return found

    def close(self) -> None:
        """Stop listening; nothing happens when the port was not to be had."""
        if self._pause is not None:
            self._pause.cancel()
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    def _watch(self) -> None:
        """Not ``loop.sock_accept``: whoever was accepted when that is cancelled is never closed."""
        self._pause = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Somebody is there; one at a time, so that a crowd at the door does not keep others waiting."""
        loop = asyncio.get_running_loop()
        try:
            connection, found = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):  # it has left already
            return
        except OSError:
            loop.remove_reader(self._listener)
            self._pause = loop.call_later(OUT_OF_FILES_PAUSE_S, self._watch)
            return
        connection.settimeout(0)
        self._let_in(Knock(connection, format_address(*found[:2])))

    def _let_in(self, knock: Knock) -> None:
        if not self._knocked(knock):
            knock.connection.close()
            return
        knock.task = asyncio.get_running_loop().create_task(self._start_tls(knock))
        knock.task.add_done_callback(partial(self._ended, knock))

    async def _start_tls(self, knock: Knock) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._limits.handshake_s
        try:
            async with asyncio.timeout_at(end_s):
                await _hello_is_here(knock.connection)
            knock.is_begun = True
            await loop.connect_accepted_socket(
                lambda: self._welcome(knock),
                knock.connection,
                ssl=self._security.server,
                ssl_handshake_timeout=max(end_s - loop.time(), LEAST_S),
                ssl_shutdown_timeout=self._limits.closing_s,
            )
        except ssl.SSLError as error:
            knock.problem = tls_problem(error)
        except (TimeoutError, ConnectionAbortedError):
            what = f"no TLS within {self._limits.handshake_s:g} s"
            knock.problem = RemoteError(what, code="handshake_timeout")
        except OSError:  # gone
            return

    def _ended(self, knock: Knock, task: asyncio.Task[None]) -> None:
        if not knock.is_begun:  # cut before the event loop has had it
            knock.connection.close()
        bug = None if task.cancelled() else task.exception()
        if isinstance(bug, Exception):
            tell_of_connection(knock.address, bug)
        self._left(knock, knock.problem)


async def _hello_is_here(connection: socket.socket) -> None:
    """Return when the first record of TLS is there whole, or what is there is none; nothing of it is taken.

    Raises OSError when the other side has gone.
    """
    while True:
        await _is_readable(connection)
        if not _is_torn(connection.recv(MAX_HELLO_BYTES, socket.MSG_PEEK)) or _has_ended(connection):
            return  # of a torn one TLS will say that it is none
        await asyncio.sleep(LOOK_S)  # what is there keeps it readable


def _has_ended(connection: socket.socket) -> bool:
    """Has the other side said all that it will?  (Where the system tells, which Linux does.)"""
    half_closed = getattr(select, "POLLRDHUP", 0)
    poll = select.poll()
    poll.register(connection, half_closed)
    return any(events & half_closed for _, events in poll.poll(0))


async def _is_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def _is_torn(begin: bytes) -> bool:
    """Does a record of the handshake begin here, and not end?"""
    if not begin:
        raise ConnectionResetError("gone")
    if begin[0] != HANDSHAKE_RECORD or len(begin) >= MAX_HELLO_BYTES:
        return False
    if len(begin) < RECORD_HEADER.size:
        return True
    return len(begin) < RECORD_HEADER.size + int(RECORD_HEADER.unpack_from(begin)[2])
