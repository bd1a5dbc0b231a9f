"""The arrays of a message as one run of raw bytes, bounded by what this node itself would send.

The model's parameters (float32, exactly P) come first, then the further arrays of the message (the dtype that
the protocol declares, at most P elements each), little-endian, each at a multiple of 8 bytes from the start.
Neither side re-encodes or copies them: the sender writes the arrays' own memory, the receiver gets views.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import ConfigError, RemoteError
from p2pfl.events import Message
from p2pfl.model import Array
from p2pfl.wire.framing import BODY_FRAME_BYTES, MAX_FRAME_BYTES, FrameType, frame_header
from p2pfl.wire.limits import MEGABYTE, Limits

DTYPES = ("float32", "float64", "int64", "uint8")
ALIGNMENT = 8  # bytes
_PADDING = memoryview(bytes(ALIGNMENT))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the arrays of one body lie: (offset in bytes, elements, dtype) each, and the size in bytes."""

    arrays: tuple[tuple[int, int, str], ...]
    size_bytes: int

    def views(self, body: NDArray[np.uint8]) -> list[Array]:
        """The arrays, without a copy; they keep ``body`` alive, and are as writable as it is."""
        found: list[Array] = []
        for offset, count, dtype in self.arrays:
            end = offset + count * np.dtype(dtype).itemsize
            found.append(body[offset:end].view(_wire_dtype(dtype)))
        return found

    def pieces(self, arrays: list[Array]) -> list[memoryview]:
        """The memory of the arrays with the padding between, in the order of the wire."""
        written = 0
        found: list[memoryview] = []
        for (offset, count, dtype), array in zip(self.arrays, arrays, strict=True):
            if count:
                if offset > written:
                    found.append(_PADDING[: offset - written])
                plain = np.ascontiguousarray(array, dtype=_wire_dtype(dtype))
                found.append(plain.data.cast("B"))
                written = offset + plain.nbytes
        return found


class BodySchema:
    """What bodies this node accepts: the local model's size and the protocol's declaration per kind.

    ``bodies[kind] = (arrays, dtype)`` counts the arrays of a message, its model included.  A kind that is
    not declared has no body.
    """

    def __init__(self, parameters: int, bodies: Mapping[str, tuple[int, str]], limits: Limits) -> None:
        self._parameters = parameters
        self._bodies = dict(bodies)
        model_bytes = parameters * np.dtype(np.float32).itemsize
        if model_bytes > limits.model_mb * MEGABYTE:
            raise ConfigError(
                f"the model has {model_bytes / MEGABYTE:.1f} MiB; limits.model_mb allows {limits.model_mb:g}",
                fix="raise limits.model_mb on every node, or take a smaller model",
            )
        for kind, (_, dtype) in self._bodies.items():
            if dtype not in DTYPES:
                raise ConfigError(
                    f"messages of kind {kind!r} have arrays of {dtype}; known: {', '.join(DTYPES)}"
                )
            if self.capacity(kind) > MAX_FRAME_BYTES:
                raise ConfigError(
                    f"a message of kind {kind!r} would have {self.capacity(kind)} bytes, above 4 GiB"
                )

    @property
    def parameters(self) -> int:
        """P, the parameters of the local model."""
        return self._parameters

    def capacity(self, kind: str) -> int:
        """The bytes that hold any body of a kind: what a receiver allocates."""
        arrays, dtype = self._bodies.get(kind, (0, "float32"))
        widest = max(np.dtype(dtype).itemsize, np.dtype(np.float32).itemsize)
        return arrays * _aligned(self._parameters * widest)

    def layout(self, kind: str, *, has_model: bool, lengths: list[int]) -> Layout:
        """Where the arrays of a message lie; raises RemoteError for more or longer ones than declared."""
        arrays, dtype = self._bodies.get(kind, (0, "float32"))
        if has_model + len(lengths) > arrays:
            found = has_model + len(lengths)
            what = f"{found} arrays in a message of kind {kind!r}, which has at most {arrays}"
            raise RemoteError(what, code="wrong_schema")
        if any(length > self._parameters for length in lengths):
            what = f"an array of {max(lengths)} elements; the model has {self._parameters}"
            raise RemoteError(what, code="too_big")
        end = 0
        placed = []
        wanted = [(self._parameters, "float32")] * has_model + [(length, dtype) for length in lengths]
        for count, kind_of_number in wanted:
            offset = _aligned(end)
            end = offset + count * np.dtype(kind_of_number).itemsize
            placed.append((offset, count, kind_of_number))
        return Layout(tuple(placed), end)

    def layout_of(self, message: Message) -> Layout:
        """The layout of a message of our own; raises ValueError where the protocol broke its declaration."""
        model = message.model
        try:
            lengths = [array.size for array in message.body]
            layout = self.layout(message.kind, has_model=model is not None, lengths=lengths)
        except RemoteError as error:
            raise ValueError(f"our own message: {error}") from error
        arrays = arrays_of(message)
        for array, (_, count, dtype) in zip(arrays, layout.arrays, strict=True):
            if array.ndim != 1 or array.size != count or array.dtype != dtype:
                found = f"{array.dtype} {list(array.shape)}, declared are {dtype} [{count}]"
                raise ValueError(f"our own message of kind {message.kind!r} has an array {found}")
        return layout


def body_frames(pieces: Sequence[memoryview]) -> Iterator[list[bytes | memoryview]]:
    """The frames of a body, each as its header and parts of the pieces' own memory; at least one."""
    left = sum(map(len, pieces))
    waiting = list(reversed(pieces))
    while True:
        room = next_frame_bytes(left)
        left -= room
        parts: list[bytes | memoryview] = [frame_header(FrameType.BODY, room)]
        while room:
            piece = waiting.pop()
            if len(piece) > room:
                waiting.append(piece[room:])
            parts.append(piece[:room])
            room -= len(parts[-1])
        yield parts
        if not left:
            return


def next_frame_bytes(missing: int) -> int:
    """The length that the next frame of a body must have when so many bytes of it are missing."""
    return min(missing, BODY_FRAME_BYTES)


def arrays_of(message: Message) -> list[Array]:
    """The arrays of a message in the order of the wire."""
    return [*([] if message.model is None else [message.model.params]), *message.body]


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _wire_dtype(name: str) -> np.dtype[np.generic]:
    return np.dtype(name).newbyteorder("<")
