"""One look at the node behind an address: everything that a link needs, up to the greeting, but no link.

The real handshake, over a blocking socket and for threads.  What a probe is told it does not answer with a
greeting of its own: it leaves with the code ``probe`` instead, so that nobody takes it for a start of the
node and no roster changes.  The other side admits it as it would admit the node itself.
"""

import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from p2pfl.errors import RemoteError, TransportError
from p2pfl.transports.addresses import parse_address
from p2pfl.transports.opening import Opening
from p2pfl.transports.tls import Security, tls_problem
from p2pfl.wire.framing import HEADER, HEADER_BYTES, FrameType, checked_type
from p2pfl.wire.greetings import refusal
from p2pfl.wire.inbound import Proof
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import Refused, decode_greeting, decode_refused, encode_refused
from p2pfl.wire.packets import Greeting

PROBE = "probe"  # the code with which it leaves


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found: how long connecting took, and what the node says of itself and to us."""

    connect_s: float
    greeting: Greeting


def connect(address: str, limits: Limits) -> tuple[socket.socket, float]:
    """A TCP connection, and the seconds that it took; raises TransportError with what stands in the way."""
    host, port = parse_address(address)
    began_s = time.monotonic()
    try:
        connection = socket.create_connection((host, port), limits.connect_s)
    except socket.gaierror as error:
        raise TransportError(f"the name {host} cannot be resolved: {error.strerror or error}") from error
    except TimeoutError as error:
        raise TransportError(f"no answer within {limits.connect_s:g} s") from error
    except OSError as error:
        words = os.strerror(error.errno).lower() if error.errno else str(error)
        raise TransportError(f"no connection: {words}") from error
    return connection, time.monotonic() - began_s


def probe(address: str, security: Security, ours: Greeting, *, peer: str = "", limits: Limits) -> Probed:
    """Look at a node; ``ours`` is what we would greet with, ``peer`` the id that is meant to answer.

    Raises TransportError when nobody can be reached, RemoteError, with its code, when
    there would be no link.
    """
    connection, took_s = connect(address, limits)
    connection.settimeout(limits.handshake_s)
    try:
        with connection, security.client.wrap_socket(connection) as channel:
            opening = Opening(security, dialled=True, peer=peer, address=address)
            theirs = _Conversation(channel, limits).greeting(opening)
            with suppress(OSError):  # it may have left; we know what we came for
                channel.sendall(encode_refused(Refused(PROBE, "a look from p2pnode doctor, no link")))
    except ssl.SSLError as error:
        raise tls_problem(error) from error
    except TimeoutError as error:
        raise TransportError(f"it did not greet within {limits.handshake_s:g} s") from error
    except OSError as error:
        raise TransportError(f"the connection broke off: {error}") from error
    theirs = replace(theirs, id=opening.peer, network=ours.network)
    objections = refusal(ours, theirs)
    if objections is not None:
        raise objections[0]
    return Probed(took_s, theirs)


class _Conversation:
    """Frames over a blocking channel, until the other side has greeted or the time is up."""

    def __init__(self, channel: ssl.SSLSocket, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
        self._deadline_s = time.monotonic() + limits.handshake_s

    def greeting(self, opening: Opening) -> Greeting:
        """Prove ourselves, and return what the other side then says."""
        opening.begin(self._channel)
        for _ in range(self._limits.greeting_frames):
            kind, payload = self._frame(opening.expects)
            if kind is FrameType.REFUSED:
                refused = decode_refused(payload)
                raise RemoteError(refused.text or "it gave no reason", code=refused.code)
            if kind is FrameType.INFO:
                return decode_greeting(payload)
            answer = opening.answer(Proof(kind, payload))
            if answer:
                self._channel.sendall(answer)
        raise RemoteError("too much was said before the greeting", code="too_big")

    def _frame(self, expected: frozenset[FrameType]) -> tuple[FrameType, bytes]:
        while True:
            length, number, _, _ = HEADER.unpack(self._read(HEADER_BYTES))
            kind = checked_type(number, length, is_greeted=False, limits=self._limits, opening=expected)
            payload = self._read(length)
            if kind is not None:  # else one to skip
                return kind, payload

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            left_s = self._deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._channel.settimeout(left_s)
            piece = self._channel.recv(count - len(found))
            if not piece:
                raise ConnectionError("it ended the connection before it greeted")
            found += piece
        return found
