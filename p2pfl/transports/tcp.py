"""Links over TCP, made for large models: bodies go from vector to vector, copied by the kernel alone.

With ``Security`` the channel is TLS, and both sides are proved before they greet; without it whoever dials
greets first.  Each side checks the other's greeting, and a refusal is told to the other side with a code and
words.  Then packets flow both ways; models are offered first, and sent when they are wanted.  When a peer
reads slowly, its messages wait in a short outbox and the oldest are dropped; when this node has no memory for
another model, its answer to the offer waits.
"""

import asyncio
import errno
import os
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from p2pfl.errors import ConfigError, RemoteError, TransportError
from p2pfl.transports.addresses import format_address, parse_address, port_holder
from p2pfl.transports.guests import Guests
from p2pfl.transports.strangers import Strangers
from p2pfl.transports.tcp_link import TcpLink
from p2pfl.transports.tcp_surroundings import Stage, Surroundings
from p2pfl.transports.tls import Security, tls_problem
from p2pfl.transports.tls_door import Knock, TlsDoor
from p2pfl.transports.transport import LinkHandler
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from p2pfl.wire.pool import BufferPool

ADDRESS_NOT_TO_BE_HAD = 6  # exit code


class TcpTransport:
    """Listens on one address and dials others; port 0 takes any free port.

    ``bodies`` are the protocol's declarations and ``parameters`` the size of the local model: together they
    bound what is received.  ``refused`` is told of each link that either side refused or broke off.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        bodies: Mapping[str, tuple[int, str]],
        parameters: int,
        limits: Limits,
        refused: Callable[[str, RemoteError], None] | None = None,
        security: Security | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits
        self._refused = refused
        self._security = security
        self._schema_of = partial(BodySchema, parameters, bodies)
        self._schema = self._schema_of(limits)
        self._shared: Surroundings[TcpLink] | None = None  # once it listens
        self._server: asyncio.Server | None = None
        self._links: set[TcpLink] = set()
        self._door: TlsDoor | None = None  # instead of a server, with security
        self._knocks: dict[Knock, float] = {}  # accepted, TLS not up yet; until when they have time
        self._strangers = Strangers(limits, self._report)
        self._guests = Guests(limits, self._is_guest)
        self._waiting: dict[TcpLink, None] = {}  # for memory, longest first
        self._hits: Counter[str] = Counter()  # of links that have ended
        self._is_closed = False
        self._all_ended = asyncio.Event()

    async def listen(self, greeting: Callable[[], Greeting], handler: LinkHandler) -> str:
        """Accept links from now on; returns the address to dial.

        Raises ConfigError (exit code 6) when the address is not to be had.
        """
        loop = asyncio.get_running_loop()
        self._shared = Surroundings(
            limits=self._limits,
            schema=self._schema,
            pool=BufferPool(self._limits, lambda: self._memory_freed(loop)),
            greeting=greeting,
            handler=handler,
            report=self._report,
            tell=self._told,
            objection=self._guests.objection,
            security=self._security,
        )
        try:
            found = await self._listen()
        except OSError as error:
            raise _not_to_be_had(self._host, self._port, error) from error
        return format_address(*found)

    async def dial(self, address: str, peer: str = "") -> None:
        """Make one attempt at a link; ``link_up`` has been called when this returns.

        Raises TransportError when the peer cannot be reached, RemoteError when either side refuses, or when
        another id than ``peer`` answers (with security, which alone can tell).
        """
        assert self._shared is not None, "a transport listens before it dials"
        host, port = parse_address(address)
        link = TcpLink(self._shared, dialled=True, peer=peer)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await self._connect(link, host, port)
        except TimeoutError as error:
            raise TransportError(f"{address} did not answer within {self._limits.connect_s:g} s") from error
        except ssl.SSLError as error:
            raise tls_problem(error) from error
        except OSError as error:
            raise TransportError(f"{address} cannot be reached: {_words(error)}") from error
        try:
            await asyncio.shield(link.outcome)
        except asyncio.CancelledError:
            _give_up(link)
            raise

    async def _connect(self, link: TcpLink, host: str, port: int) -> None:
        """Connect; once there is a connection its own end is awaited, whoever loses interest.

        A cancelled ``create_connection`` may close the connection without a word to its protocol, before or
        after ``connection_made`` (uvloop does), also when both sides have greeted over it already.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if self._security is not None:
            options = {"ssl": self._security.client, "server_hostname": ""}
            options["ssl_handshake_timeout"] = self._limits.handshake_s
            options["ssl_shutdown_timeout"] = self._limits.closing_s
        connecting = loop.create_task(loop.create_connection(lambda: link, host, port, **options))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if link in self._links:
                connecting.add_done_callback(lambda _: _give_up(link))
            else:
                link.forsake()
                connecting.cancel()
            raise

    @property
    def hits(self) -> Counter[str]:
        """How often limits were hit that end no link: packets dropped, offers that waited."""
        return sum((link.hits for link in self._links), start=Counter(self._hits))

    def change_limits(self, limits: Limits) -> None:
        """Other limits for links from now on, and for the memory of all; links that are up keep the rest.

        Raises ConfigError, with everything as it was, when the local model exceeds them.
        """
        schema = self._schema_of(limits)
        self._limits, self._schema = limits, schema
        if self._shared is not None:
            self._shared.pool.change_limits(limits)
            self._shared = replace(self._shared, limits=limits, schema=schema)
        self._strangers.change_limits(limits)
        self._guests.limits = limits
        if self._door is not None:
            self._door.change_limits(limits)

    async def close(self) -> None:
        """Close every link and stop listening."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        if self._door is not None:
            self._door.close()
        for link in list(self._links):
            if link.is_up:
                link.close("leaving")
            else:
                link.abort("leaving")
        for knock in list(self._knocks):
            knock.abort("leaving")
        while self._links or self._knocks:
            self._all_ended.clear()
            await self._all_ended.wait()
        if self._server is not None:
            await self._server.wait_closed()

    async def _listen(self) -> tuple[str, int]:
        """Open the port, in the plain or behind TLS; the host and port in use."""
        if self._security is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, self._host, self._port)
            found: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
            return found
        self._door = TlsDoor(
            self._security, self._limits, welcome=self._welcome, knocked=self._knocked, left=self._left
        )
        return self._door.open(self._host, self._port)

    def _accept(self) -> TcpLink:
        assert self._shared is not None
        return TcpLink(self._shared, dialled=False)

    def _knocked(self, knock: Knock) -> bool:
        """Somebody has connected and is to speak TLS: may they?"""
        if not self._strangers.let_in(knock):
            return False
        self._knocks[knock] = asyncio.get_running_loop().time() + self._limits.handshake_s
        return True

    def _welcome(self, knock: Knock) -> TcpLink:
        """The link that takes over when TLS is up, with what is left of the time."""
        assert self._shared is not None
        return TcpLink(self._shared, dialled=False, deadline_s=self._knocks.get(knock))

    def _left(self, knock: Knock, error: RemoteError | None) -> None:
        """TLS is up, and there is a link, or there will be none."""
        if error is not None:
            self._report(knock.address, error)
        self._knocks.pop(knock, None)
        self._strangers.left(knock)
        self._note_end()

    def _told(self, link: TcpLink, stage: Stage) -> None:
        match stage:
            case Stage.CONNECTED:
                self._connected(link)
            case Stage.PROVED:  # a crowd does not push it out any more
                self._strangers.greeted(link)
            case Stage.UP:
                self._strangers.greeted(link)
                self._guests.came(link)
            case Stage.WAITING:
                self._waiting.setdefault(link)
            case Stage.ENDED:
                self._ended(link)
            case _:
                assert_never(stage)

    def _connected(self, link: TcpLink) -> None:
        self._links.add(link)
        if self._is_closed:
            link.abort("leaving")
        elif not link.is_dialled and not self._strangers.let_in(link):
            link.abort("refused")

    def _is_guest(self, peer: str) -> bool:
        return self._security is not None and self._security.admission.trust.is_guest(peer)

    def _ended(self, link: TcpLink) -> None:
        self._links.discard(link)
        self._hits += link.hits
        self._strangers.left(link)
        self._guests.left(link)
        self._waiting.pop(link, None)
        self._note_end()

    def _note_end(self) -> None:
        if not self._links and not self._knocks:
            self._all_ended.set()

    def _memory_freed(self, loop: asyncio.AbstractEventLoop) -> None:
        """The pool's word, in whatever thread an array was collected."""
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(self._retry_waiting)

    def _retry_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for link in waiting:
            link.retry()

    def _report(self, address: str, error: RemoteError) -> None:
        self._strangers.failed(address, error)
        if self._refused is not None:
            self._refused(address, error)


def _give_up(link: TcpLink) -> None:
    """Whoever dialled has lost interest; a link that is up is the handler's already."""
    if not link.is_up:
        link.abort("given up")


def _not_to_be_had(host: str, port: int, error: OSError) -> ConfigError:
    holder = port_holder(port) if error.errno == errno.EADDRINUSE else ""
    fix = (
        f"stop that process, or start with --port {port + 1}" if holder else "choose another port or address"
    )
    return ConfigError(
        f"cannot listen on {host}:{port}: {_words(error)}",
        facts=[f"{holder} holds it"] if holder else [],
        fix=fix,
        exit_code=ADDRESS_NOT_TO_BE_HAD,
    )


def _words(error: OSError) -> str:
    """The system's own words for an error, without what the event loop adds."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error.strerror or error)
