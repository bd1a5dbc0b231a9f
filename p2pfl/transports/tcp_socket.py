"""The socket under a TCP link: who is at the other end, and when it wakes the event loop."""

import asyncio
import socket
from contextlib import suppress

from p2pfl.transports.addresses import format_address

# A machine that vanished without a word: probed after 15 s of silence, given up after 45 s.
_KEEPALIVE_S = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
# Within a large body the loop wakes for so many bytes at once: measured, a tenth more speed at 10 and 100 MB.
WAKE_BYTES = 128 * 1024


class TcpSocket:
    """Options of one connected socket; the event loop reads and writes it."""

    def __init__(self, transport: asyncio.BaseTransport, *, taken_bytes: int = 0) -> None:
        peer_name = transport.get_extra_info("peername") or ("gone", 0)  # it may have left already
        self.address = format_address(*peer_name[:2])
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._taken_bytes = taken_bytes
        self._wake_bytes = 1
        self._set(socket.SOL_SOCKET, "SO_KEEPALIVE", 1)
        self._set(socket.IPPROTO_TCP, "TCP_NODELAY", 1)
        for name, value in _KEEPALIVE_S:
            self._set(socket.IPPROTO_TCP, name, value)

    def expect(self, body_bytes: int) -> None:
        """That much of a body is still to come: let a part of it gather before the loop is woken.

        Up to ``taken_bytes`` of it may have left the socket without having arrived: TLS holds half a record.
        """
        wanted = WAKE_BYTES if body_bytes >= WAKE_BYTES + self._taken_bytes else 1
        if wanted != self._wake_bytes:
            self._wake_bytes = wanted
            self._set(socket.SOL_SOCKET, "SO_RCVLOWAT", wanted)

    def _set(self, level: int, name: str, value: int) -> None:
        option = getattr(socket, name, None)  # not all platforms have all
        if option is not None:
            with suppress(OSError):  # some refuse once the peer has left
                self._socket.setsockopt(level, option, value)
