"""The sending half of a TCP link: small frames in one write, large bodies in slices of their own memory."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from p2pfl.wire.bodies import body_frames
from p2pfl.wire.limits import Limits
from p2pfl.wire.offers import SendingHalf
from p2pfl.wire.outbox import Outbox
from p2pfl.wire.packets import Envelope, Reject

ONE_WRITE_BYTES = 64 * 1024  # up to here header and body are joined: the copy costs less than a second write


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """An encoded message: its first frame, and its body in pieces of the arrays' own memory."""

    envelope: Envelope
    head: bytes
    body: tuple[memoryview, ...] = ()


class TcpWriter:
    """Feeds one connection from an outbox, as fast as the kernel takes it and no faster.

    uvloop keeps what the kernel did not take by reference; asyncio 3.11 copies it, hence bodies go frame by
    frame.  ``may_leave`` is asked when a message with arrays is about to be offered.
    """

    def __init__(
        self, transport: asyncio.Transport, limits: Limits, *, may_leave: Callable[[Envelope], bool]
    ) -> None:
        self._transport = transport
        self._may_leave = may_leave
        self._controls: Outbox[bytes] = Outbox(limits)
        self._loop = asyncio.get_running_loop()
        self._body: Iterator[list[bytes | memoryview]] | None = None  # what is left of the one half sent
        self._body_left = 0  # bytes of it
        self._last: bytes | None = None  # the frame that closes the link
        self._is_paused = False
        self._is_pumping = False
        self.offers: SendingHalf[Outgoing] = SendingHalf(limits)
        transport.set_write_buffer_limits(high=limits.write_high_water_bytes)

    @property
    def waiting(self) -> int:
        """Packets that are not yet being sent."""
        return self.offers.waiting + len(self._controls)

    @property
    def is_idle(self) -> bool:
        """The kernel has got all that there is to send."""
        is_done = self.offers.is_idle and not self._controls
        return is_done and self._transport.get_write_buffer_size() == 0

    @property
    def is_sending(self) -> bool:
        """Is a body half sent, or does the kernel take no more?  What is said now stands behind it."""
        return self._body is not None or self._transport.get_write_buffer_size() > 0

    @property
    def is_unread(self) -> bool:
        """Does the peer cause answers and not read them?"""
        return self._controls.is_unread

    @property
    def dropped(self) -> int:
        """Packets dropped for want of room."""
        return self.offers.dropped + self._controls.dropped

    def send(self, packet: Outgoing, replaces: str) -> None:
        """Send a message, or keep it while the kernel takes no more or the peer has not answered."""
        if self._last is None:
            envelope = packet.envelope
            sequence = envelope.sequence if envelope.message.has_arrays else None
            self.offers.put(packet, sequence=sequence, replaces=replaces)
            self._pump()

    def send_control(self, frame: bytes) -> None:
        """Send a frame before all messages that wait, within the body that is half sent."""
        if self._last is None:
            self._controls.put_control(frame)
            self._pump()

    def send_answer(self, frame: bytes) -> None:
        """Likewise, and never dropped."""
        if self._last is None:
            self._controls.put_answer(frame)
            self._pump()

    def accepted(self, sequence: int) -> None:
        """The peer wants the body that was offered; raises RemoteError when none was."""
        packet = self.offers.accepted(sequence)
        if self._last is None:
            self._body, self._body_left = body_frames(packet.body), sum(map(len, packet.body))
            self._pump()

    def rejected(self, answer: Reject) -> Envelope:
        """The peer does not want what was offered; raises RemoteError when nothing was."""
        packet = self.offers.rejected(answer)
        self._pump()
        return packet.envelope

    def rested(self) -> None:
        """The time after ``busy`` is over."""
        self.offers.rested()
        self._pump()

    def more(self) -> None:
        """A receipt has come: another model may go."""
        self._pump()

    def finish(self, frame: bytes, *, drops_body: bool = False) -> None:
        """Send a last frame, after the body that is half sent or in place of its rest, then close.

        What waits is dropped.
        """
        if self._last is None:
            self._last = frame
            self._controls.clear()
            self.offers.clear()
            if drops_body:
                self._body = None
            self._pump()

    def stop(self) -> None:
        """The connection is gone: drop everything."""
        self._last = b""
        self._controls.clear()
        self.offers.clear()
        self._body = None

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
        """Write the next frame; False when nothing is left."""
        control = self._controls.pop_control()
        if control is not None:
            self._transport.write(control)
            return True
        if self._body is not None:
            self._write_body_frame(self._body)
            return True
        if self._last is not None:
            self._transport.write(self._last)
            # Not at once: asyncio may be in ``resume_writing``, after which it would close a second time.
            self._loop.call_soon(self._transport.close)
            self.stop()
            return False
        return self._write_message()

    def _write_message(self) -> bool:
        parcel = self.offers.next()
        if parcel is None:
            return False
        if parcel.sequence is not None and not self._may_leave(parcel.item.envelope):
            self.offers.withdraw()
            return True
        self._transport.write(parcel.item.head)
        return True

    def _write_body_frame(self, body: Iterator[list[bytes | memoryview]]) -> None:
        parts = next(body)
        self._body_left -= sum(map(len, parts[1:]))
        if self._body_left == 0:
            self._body = None
            if self._last is None:
                self.offers.body_sent()
        if sum(map(len, parts)) <= ONE_WRITE_BYTES:
            self._transport.write(b"".join(parts))
            return
        for part in parts:
            self._transport.write(part)
