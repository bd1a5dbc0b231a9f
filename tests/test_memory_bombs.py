"""Bytes that are small and ask for much: refused within little memory, and little time of the processor."""

import io
import json
import time
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

import numpy as np
import pytest

from node_daemon.checkpoint_file import read_facts
from p2pfl.errors import ConfigError, RemoteError, StateError
from p2pfl.identity.ticket import decode_ticket
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.heartbeat_codec import decode_heartbeat
from p2pfl.wire.limits import MEGABYTE, Limits
from p2pfl.wire.message_codec import decode_message, decode_offer
from p2pfl.wire.record import unpack
from tests.corpus.replay import arrivals
from tests.corpus.samples import GREETED, STATES, Stream
from tests.p2pfl.wire.samples import SCHEMA

CONTROL = Limits().control_frame_bytes
STALL_S = 0.1
F32 = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def full(head: bytes, filling: bytes) -> bytes:
    """A control frame's worth of one thing."""
    return head + filling * ((CONTROL - len(head)) // len(filling))


PAYLOADS: Mapping[str, bytes] = {
    "lists within lists": full(b"", b"\x91"),
    "maps within maps": full(b"", b"\x81\xa1a"),
    "empty maps": full(b"\xdd\x00\x00\xff\xf0", b"\x80"),
    "empty maps within all caps": full(b"", b"\xdc\x10\x00" + b"\x80" * 4096),
    "a map of many": full(b"\xdf\xff\xff\xff\xff", b"\xa1a\xc0"),
    "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a text of four gigabytes": b"\xdb\xff\xff\xff\xff",
    "bytes of four gigabytes": b"\xc6\xff\xff\xff\xff",
    "an extension of four gigabytes": b"\xc9\xff\xff\xff\xff\x01",
    "rumours within rumours": full(b"\x81\xa7rumours\xdc\x00\x41", b"\x81\xa6member\xa1a"),
}


def tensors(found: Mapping[str, object], *, twice: str = "") -> bytes:
    """A safetensors file with this header, and nothing behind it."""
    header = json.dumps(found).encode()
    if twice:
        header = header[:-1] + f', "{twice}": {json.dumps(F32)}'.encode() + b"}"
    return len(header).to_bytes(8, "little") + header


HEADERS: Mapping[str, bytes] = {
    "two hundred thousand tensors": tensors({f"state/{number}": F32 for number in range(200_000)}),
    "as many tensors as fit": tensors({f"state/{number}": F32 for number in range(12_000)}),
    "the same name twice": tensors({"model": F32}, twice="model"),
    "a name that is a path": tensors({"../../x": F32}),
    "a shape without end": tensors({"model": {**F32, "shape": [2**40, 0]}}),
    "a shape of huge numbers": tensors({"model": {**F32, "shape": [2**62] * 8}}),
    "a shape of many": tensors({"model": {**F32, "shape": [2] * 100_000}}),
    "a header of four gigabytes": (2**32).to_bytes(8, "little"),
    "a header of all there is": b"\xff" * 8,
    "lists within lists": (900_000).to_bytes(8, "little") + b"[" * 900_000,
    "a number of many digits": (900_000).to_bytes(8, "little") + b"1" * 900_000,
}

SLOW = {"as many tensors as fit", "a shape of many"}  # to measure


def costs(read: Callable[[bytes], object], data: bytes) -> tuple[float, int]:
    """Seconds of this thread, and the most bytes taken meanwhile, to refuse it or to read it."""
    spent_s = []
    for _ in range(2):  # the first time pays for imports and caches
        began_s = time.thread_time()
        _tried(read, data)
        spent_s.append(time.thread_time() - began_s)
    tracemalloc.start()
    _tried(read, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return min(spent_s), peak


def _tried(read: Callable[[bytes], object], data: bytes) -> None:
    with suppress(RemoteError, StateError, ConfigError):
        read(data)


def header_of(data: bytes) -> None:
    read_facts(cast(io.BufferedReader, io.BytesIO(data)), max(len(data), 2 * MEGABYTE))


def check(read: Callable[[bytes], object], data: bytes) -> None:
    spent_s, peak = costs(read, data)

    assert spent_s < STALL_S
    assert peak < 32 * MEGABYTE


@pytest.mark.parametrize("what", list(PAYLOADS))
def test_a_control_frame_takes_little_whatever_is_in_it(what: str) -> None:
    payload = PAYLOADS[what]
    for read in (unpack, decode_heartbeat, decode_message, lambda data: decode_offer(data, SCHEMA)):
        check(read, payload)
    check(lambda data: arrivals(Stream("", GREETED, frame(FrameType.HEARTBEAT, data))), payload)


def test_a_length_of_four_gigabytes_takes_nothing_in_any_state() -> None:
    for state in STATES:
        for number in range(256):
            check_length = Stream("", state, b"\xff\xff\xff\xff" + bytes([number, 0, 0, 0]))
            with pytest.raises(RemoteError):
                arrivals(check_length)
    check(lambda data: arrivals(Stream("", GREETED, data)), b"\xff\xff\xff\xff\x11\x00\x00\x00")


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=pytest.mark.slow) if what in SLOW else what for what in HEADERS],
)
def test_a_header_of_tensors_is_refused_before_it_costs_anything(what: str) -> None:
    with pytest.raises(StateError):
        header_of(HEADERS[what])
    check(header_of, HEADERS[what])


def test_a_ticket_of_any_length_takes_little() -> None:
    for text in ("p2pnode1-" + "A" * MEGABYTE, "A" * MEGABYTE, " " * MEGABYTE):
        check(lambda data: decode_ticket(data.decode()), text.encode())


def test_the_measure_itself_sees_what_is_taken() -> None:
    spent_s, peak = costs(lambda data: np.zeros(int(data) * MEGABYTE, np.uint8), b"33")

    assert peak >= 33 * MEGABYTE
    assert spent_s >= 0
