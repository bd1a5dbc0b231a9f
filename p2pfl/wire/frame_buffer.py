"""The memory in which the small frames of one link arrive: room for the longest of them, and no more."""

from p2pfl.wire.framing import HEADER, HEADER_BYTES


class FrameBuffer:
    """Bytes that have arrived and are not yet taken, at most one frame of ``cap`` bytes and its header."""

    def __init__(self, cap: int) -> None:
        self._memory = memoryview(bytearray(HEADER_BYTES + cap))
        self._start = 0
        self._end = 0

    def grow(self, cap: int) -> None:
        """Allow longer frames from now on."""
        waiting = bytes(self._memory[self._start : self._end])
        self._memory = memoryview(bytearray(max(HEADER_BYTES + cap, len(waiting))))
        self._memory[: len(waiting)] = waiting
        self._start, self._end = 0, len(waiting)

    def free(self) -> memoryview:
        """Where the next bytes belong; empty only while a whole frame waits to be taken."""
        if self._start:
            waiting = bytes(self._memory[self._start : self._end])
            self._memory[: len(waiting)] = waiting
            self._start, self._end = 0, len(waiting)
        return self._memory[self._end :]

    def added(self, count: int) -> None:
        """``count`` bytes were written into ``free()``."""
        self._end += count

    @property
    def missing(self) -> int:
        """The bytes that the header of the next frame lacks, or with a whole header its payload."""
        found = self.header()
        wanted = HEADER_BYTES if found is None else HEADER_BYTES + found[0]
        return wanted - (self._end - self._start)

    def header(self) -> tuple[int, int] | None:
        """The (length, type number) of the next frame, None while its header is not whole."""
        if self._end - self._start < HEADER_BYTES:
            return None
        length, number, _, _ = HEADER.unpack_from(self._memory, self._start)
        return length, number

    def take_header(self) -> None:
        """Remove the header of the next frame."""
        self._start += HEADER_BYTES

    def take(self, length: int) -> bytes | None:
        """Remove the next frame and return its payload, None while it is not whole."""
        end = self._start + HEADER_BYTES + length
        if end > self._end:
            return None
        payload = bytes(self._memory[self._start + HEADER_BYTES : end])
        self._start = end
        return payload

    def move_into(self, target: memoryview) -> int:
        """Remove as many bytes as ``target`` holds or have arrived, write them there, and count them."""
        count = min(len(target), self._end - self._start)
        target[:count] = self._memory[self._start : self._start + count]
        self._start += count
        return count
