"""Lines for a reader that does not read: nobody waits, what is left out is counted."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from node_daemon import log_writer
from node_daemon.log_writer import PatientHandler


class Pipe:
    """A descriptor whose reader may hold everything up."""

    def __init__(self) -> None:
        self.is_read = threading.Event()
        self.text = b""

    def write(self, _: int, line: bytes) -> int:
        """Takes at most three bytes at once, as a pipe may."""
        self.is_read.wait(10)
        self.text += line[:3]
        return len(line[:3])


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    found = Pipe()
    yield found
    found.is_read.set()


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "levelname": "INFO"})


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    handler = PatientHandler(2, write=pipe.write)
    pipe.is_read.set()

    for number in range(50):
        handler.handle(record(f"line {number}"))
    handler.flush()

    assert pipe.text.decode().splitlines() == [f"line {number}" for number in range(50)]


def test_a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "FLUSH_S", 0.01)
    handler = PatientHandler(2, write=pipe.write)
    began_s = time.monotonic()

    for number in range(log_writer.MAX_QUEUED_LINES + 7):
        handler.handle(record(f"line {number}"))
    handler.flush()
    assert time.monotonic() - began_s < 2
    assert pipe.text == b""

    monkeypatch.setattr(log_writer, "FLUSH_S", 5.0)
    pipe.is_read.set()
    handler.flush()
    lines = pipe.text.decode().splitlines()
    assert len(lines) == log_writer.MAX_QUEUED_LINES + 1
    assert lines[-1].startswith("7 lines were left out")


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    seen: list[bytes] = []

    def gone(_: int, line: bytes) -> int:
        seen.append(line)
        raise BrokenPipeError

    handler = PatientHandler(2, write=gone)
    handler.handle(record("one"))
    handler.handle(record("two"))
    handler.flush()

    assert seen == [b"one\n", b"two\n"]
