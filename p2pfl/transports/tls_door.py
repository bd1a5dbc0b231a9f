"""Where strangers come in when links are secure: each is counted, timed and can be cut before TLS begins.

A connection that is still shaking hands costs memory by the hundred kilobytes, so the gate stands before it.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from p2pfl.errors import RemoteError
from p2pfl.transports.addresses import format_address
from p2pfl.transports.tls import Security, tls_problem
from p2pfl.wire.limits import Limits

BACKLOG = 100
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
        self._accepting: asyncio.Task[None] | None = None

    def change_limits(self, limits: Limits) -> None:
        """Other limits, for those who knock from now on."""
        self._limits = limits

    def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the host and port in use.  Raises OSError when they are not to be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._listener.settimeout(0)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        found: tuple[str, int] = self._listener.getsockname()[:2]
        return found

    async def close(self) -> None:
        """Stop listening; nothing happens when the port was not to be had."""
        if self._accepting is None:
            return
        self._accepting.cancel()
        with suppress(asyncio.CancelledError):
            await self._accepting
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, found = await loop.sock_accept(self._listener)
            except ConnectionError:  # it has left already
                continue
            except OSError:
                await asyncio.sleep(OUT_OF_FILES_PAUSE_S)
                continue
            connection.settimeout(0)
            self._let_in(Knock(connection, format_address(*found[:2])))
            await asyncio.sleep(0)  # a crowd at the door does not keep others waiting

    def _let_in(self, knock: Knock) -> None:
        if not self._knocked(knock):
            knock.connection.close()
            return
        knock.task = asyncio.get_running_loop().create_task(self._start_tls(knock))
        knock.task.add_done_callback(partial(self._ended, knock))

    async def _start_tls(self, knock: Knock) -> None:
        knock.is_begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._welcome(knock),
                knock.connection,
                ssl=self._security.server,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=self._limits.closing_s,
            )
        except ssl.SSLError as error:
            knock.problem = tls_problem(error)
        except ConnectionAbortedError:
            what = f"no TLS within {self._limits.handshake_s:g} s"
            knock.problem = RemoteError(what, code="handshake_timeout")
        except OSError:  # gone
            return

    def _ended(self, knock: Knock, _task: asyncio.Task[None]) -> None:
        if not knock.is_begun:  # cut before the event loop has had it
            knock.connection.close()
        self._left(knock, knock.problem)
