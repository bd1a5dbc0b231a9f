"""The sending half of a TCP link: small frames in one write, large bodies in slices of their own memory."""

import asyncio
from collections import deque
from dataclasses import dataclass

from p2pfl.wire.limits import Limits
from p2pfl.wire.outbox import Outbox

ONE_WRITE_BYTES = 64 * 1024  # up to here header and body are joined: the copy costs less than a second write
# As much as Linux lets a socket hold: smaller slices cost wake-ups (a tenth of the speed at 1 MiB).  uvloop
# keeps what the kernel did not take by reference; asyncio 3.11 copies it, hence not the whole body at once.
SLICE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """An encoded packet: its header frame, and its body in pieces of the arrays' own memory."""

    head: bytes
    body: tuple[memoryview, ...] = ()


class TcpWriter:
    """Feeds one connection from an outbox, as fast as the kernel takes it and no faster."""

    def __init__(self, transport: asyncio.Transport, limits: Limits) -> None:
        self._transport = transport
        self._outbox: Outbox[Outgoing] = Outbox(limits)
        self._half_sent: deque[memoryview] = deque()
        self._last: bytes | None = None  # the frame that closes the link
        self._is_paused = False
        self._is_pumping = False
        transport.set_write_buffer_limits(high=limits.write_high_water_bytes)

    @property
    def waiting(self) -> int:
        """Packets that are not yet being sent."""
        return len(self._outbox)

    @property
    def is_idle(self) -> bool:
        """The kernel has got all that there is to send."""
        is_done = not self._outbox and not self._half_sent
        return is_done and self._transport.get_write_buffer_size() == 0

    @property
    def dropped(self) -> int:
        """Packets dropped for want of room."""
        return self._outbox.dropped

    def send(self, packet: Outgoing, replaces: str) -> None:
        """Send a message, or keep it while the kernel takes no more."""
        if self._last is None:
            self._outbox.put(packet, replaces)
            self._pump()

    def send_control(self, frame: bytes) -> None:
        """Send a frame before all messages that wait, after the body that is half sent."""
        if self._last is None:
            self._outbox.put_control(Outgoing(frame))
            self._pump()

    def finish(self, frame: bytes) -> None:
        """Send a last frame after the body that is half sent, then close; what waits is dropped."""
        if self._last is None:
            self._last = frame
            self._outbox.clear()
            self._pump()

    def stop(self) -> None:
        """The connection is gone: drop everything."""
        self._last = b""
        self._outbox.clear()
        self._half_sent.clear()

    def pause(self) -> None:
        """The kernel takes no more."""
        self._is_paused = True

    def resume(self) -> None:
        """The kernel takes more."""
        self._is_paused = False
        self._pump()

    def _pump(self) -> None:
        if self._is_pumping:  # a write may resume at once
            return
        self._is_pumping = True
        while not self._is_paused and not self._transport.is_closing() and self._write_some():
            pass
        self._is_pumping = False

    def _write_some(self) -> bool:
        """Write the next piece; False when nothing is left."""
        if self._half_sent:
            self._write_slice()
            return True
        if self._last is not None:
            self._transport.write(self._last)
            # Not at once: asyncio may be in ``resume_writing``, after which it would close a second time.
            asyncio.get_running_loop().call_soon(self._transport.close)
            self.stop()
            return False
        packet = self._outbox.pop()
        if packet is None:
            return False
        if len(packet.head) + sum(map(len, packet.body)) <= ONE_WRITE_BYTES:
            self._transport.write(b"".join((packet.head, *packet.body)))
        else:
            self._transport.write(packet.head)
            self._half_sent.extend(packet.body)
        return True

    def _write_slice(self) -> None:
        piece = self._half_sent.popleft()
        if len(piece) > SLICE_BYTES:
            self._half_sent.appendleft(piece[SLICE_BYTES:])
        self._transport.write(piece[:SLICE_BYTES])
