"""Log lines: their two shapes, text from peers made harmless, repeats counted."""

import io
import json
import logging
import stat
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_daemon.logs import (
    MAX_TEXT,
    JsonFormatter,
    LogFormat,
    RepeatFilter,
    TextFormatter,
    clean,
    file_handler,
    is_text,
    log_event,
    stream_handler,
    utc_now,
)
from p2pfl.errors import StateError

ID = "25NJQAM-CWEFLPV-KL73J4S-ZAHHIHO-C4XT3KT-CGJNPAI-NGR5YHK-ENAJJFQ"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def logger_to() -> Iterator[Callable[[logging.Handler], logging.Logger]]:
    """Makes loggers that write to one handler each, and takes them down again."""
    made: list[tuple[logging.Logger, logging.Handler]] = []
    numbers = count()

    def make(handler: logging.Handler) -> logging.Logger:
        logger = logging.getLogger(f"test.{next(numbers)}")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
        made.append((logger, handler))
        return logger

    yield make
    for logger, handler in made:
        logger.removeHandler(handler)
        handler.close()


Make = Callable[[logging.Handler], logging.Logger]


def with_formatter(stream: io.StringIO, formatter: logging.Formatter) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return handler


def test_a_line_for_people_reads_like_the_sample(logger_to: Make) -> None:
    stream = io.StringIO()
    logger = logger_to(with_formatter(stream, TextFormatter()))

    log_event(
        logger, logging.INFO, "round.done", loss=0.31849, accuracy=0.902, merged=2, round=42, elapsed_s=3.14
    )
    log_event(logger, logging.WARNING, "peer.refused", peer=ID, msg="wrong plan", size_bytes=9, dialled=True)

    first, second = stream.getvalue().splitlines()
    assert first[8:] == " INFO  round.done     42  loss 0.318  accuracy 0.902  merged 2  3.1 s"
    assert second[8:] == " WARN  peer.refused   25NJQAM  wrong plan  size 9 bytes  dialled yes"
    assert first[2] == first[5] == ":"


def test_a_json_line_has_the_stable_keys_and_the_facts_in_full(logger_to: Make) -> None:
    stream = io.StringIO()
    logger = logger_to(with_formatter(stream, JsonFormatter("kitchen")))

    log_event(
        logger, logging.WARNING, "peer.up", peer=ID, round=3, loss=float("nan"), mark=b"\x01", path=("a",)
    )

    record = json.loads(stream.getvalue())
    assert record.pop("ts").endswith("Z")
    assert record == {
        "level": "warning",
        "event": "peer.up",
        "node": "kitchen",
        "peer": ID,
        "round": 3,
        "loss": None,
        "mark": "01",
        "path": ["a"],
    }


def test_a_fact_cannot_replace_what_the_daemon_says(logger_to: Make) -> None:
    stream = io.StringIO()
    logger = logger_to(with_formatter(stream, JsonFormatter("kitchen")))

    log_event(logger, logging.INFO, "peer.said", node="attic", ts="never")

    assert json.loads(stream.getvalue())["node"] == "kitchen"
    assert json.loads(stream.getvalue())["ts"] != "never"


def test_other_libraries_and_tracebacks_fit_in_one_line(logger_to: Make) -> None:
    text, jsons = io.StringIO(), io.StringIO()
    logger = logger_to(with_formatter(text, TextFormatter()))
    logger.addHandler(with_formatter(jsons, JsonFormatter("n")))

    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        logger.exception("it %s", "broke")

    assert text.getvalue().endswith("it broke  logger test.0  ValueError: bad value\n")
    record = json.loads(jsons.getvalue())
    assert (record["event"], record["msg"], record["level"]) == ("log", "it broke", "error")
    assert record["traceback"][0].startswith("Traceback")
    assert text.getvalue().count("\n") == jsons.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ümläut 学", "plain, ümläut 学"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "31mred"),
        ("two\nlines\r\tand", "two lines  and"),
        ("nul\x00bell\x07", "nulbell"),
        ("right\u202eleft\u2066", "rightleft"),
        ("a\u2028b", "a b"),
        ("x" * 300, "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_text_from_peers_is_made_harmless(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
def test_no_text_brings_a_control_character_to_the_terminal(text: str) -> None:
    cleaned = clean(text)

    assert len(cleaned) <= MAX_TEXT
    assert all(character.isprintable() or character.isspace() for character in cleaned)
    assert not set(cleaned) & set("\n\r\x1b\x9b\u202e")


def test_a_repeat_is_written_once_a_minute_with_a_count(logger_to: Make) -> None:
    stream, clock = io.StringIO(), Clock()
    handler = with_formatter(stream, TextFormatter())
    handler.addFilter(RepeatFilter(clock))
    logger = logger_to(handler)

    for second in range(0, 65, 5):
        clock.now_s = second
        log_event(logger, logging.WARNING, "peer.refused", peer="a", msg=f"reason {second}")
        log_event(logger, logging.INFO, "round.done", round=second)
    log_event(logger, logging.WARNING, "peer.refused", peer="b")

    lines = [line[15:].rstrip() for line in stream.getvalue().splitlines() if "refused" in line]
    assert lines == [
        "peer.refused   a  reason 0",
        "peer.refused   a  reason 60  repeats 11",
        "peer.refused   b",
    ]
    assert stream.getvalue().count("round.done") == 13  # these say something new each time


def test_what_is_remembered_of_repeats_is_bounded(logger_to: Make) -> None:
    stream, clock = io.StringIO(), Clock()
    handler = with_formatter(stream, TextFormatter())
    handler.addFilter(RepeatFilter(clock))
    logger = logger_to(handler)

    for peer in range(1025):  # one more than is remembered
        log_event(logger, logging.WARNING, "peer.refused", peer=str(peer))
    log_event(logger, logging.WARNING, "peer.refused", peer="1024")
    log_event(logger, logging.WARNING, "peer.refused", peer="0")

    assert stream.getvalue().count("\n") == 1026


@pytest.mark.parametrize(
    ("format", "stream", "expected"),
    [
        ("auto", Terminal(), True),
        ("auto", io.StringIO(), False),
        ("text", io.StringIO(), True),
        ("json", Terminal(), False),
    ],
)
def test_the_format_follows_the_terminal_unless_it_is_named(
    format: LogFormat, stream: io.StringIO, expected: bool, logger_to: Make
) -> None:
    assert is_text(format, stream) == expected

    log_event(logger_to(stream_handler(stream, node="n", format=format)), logging.INFO, "daemon.up")

    assert stream.getvalue().startswith("{") != expected


def test_the_log_file_is_private_and_holds_json_lines(tmp_path: Path, logger_to: Make) -> None:
    path = tmp_path / "state" / "daemon.log"

    log_event(logger_to(file_handler(path, node="n")), logging.INFO, "daemon.up", port=7964)

    assert json.loads(path.read_text())["port"] == 7964
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StateError, match="cannot open"):
        file_handler(tmp_path, node="n")


def test_the_log_file_is_bounded_and_stays_private_after_a_rotation(tmp_path: Path, logger_to: Make) -> None:
    logger = logger_to(file_handler(tmp_path / "daemon.log", node="n", max_bytes=500))

    for number in range(20):
        log_event(logger, logging.INFO, "round.done", round=number)

    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["daemon.log", "daemon.log.1"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 and file.stat().st_size <= 500 for file in files)
    assert json.loads(files[0].read_text().splitlines()[-1])["round"] == 19


def test_a_level_that_is_off_costs_no_line(logger_to: Make) -> None:
    stream = io.StringIO()

    log_event(logger_to(with_formatter(stream, TextFormatter())), logging.DEBUG, "link.ping")

    assert stream.getvalue() == ""


def test_the_wall_clock_is_utc_with_milliseconds() -> None:
    assert len(utc_now()) == len("2026-01-31T13:02:19.123Z")
    assert utc_now().endswith("Z")


def test_a_peer_with_a_name_is_called_by_it_and_empty_lists_are_left_out(logger_to: Make) -> None:
    stream = io.StringIO()
    logger = logger_to(with_formatter(stream, TextFormatter()))

    log_event(logger, logging.INFO, "peer.up", peer=ID, name="garage", address="tcp://a:1")
    log_event(logger, logging.INFO, "roster.changed", members=2, joined=[ID], gone=[])
    log_event(logger, logging.WARNING, "peer.refused", address="tcp://a:1", problem="x" * 300)

    up, changed, refused = (line[14:].strip() for line in stream.getvalue().splitlines())
    assert up == "peer.up        garage (25NJQAM)  address tcp://a:1"
    assert changed == "roster.changed members 2  joined 25NJQAM"
    assert refused == f"peer.refused   {'x' * 300}  address tcp://a:1"
