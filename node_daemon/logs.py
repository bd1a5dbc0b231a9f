"""The daemon's log: one event per line, for people on a terminal, as JSON for everything else.

``log_event(logger, level, "round.done", round=42, loss=0.318)`` gives

    14:02:19 INFO  round.done     42  loss 0.318
    {"ts": "2026-01-31T13:02:19.123Z", "level": "info", "event": "round.done", "node": …, "round": 42, …}

Event names are dotted and stable.  Text that comes from peers loses control characters and escape sequences
and is cut; a line that repeats is written once per minute with a count.
"""

import json
import logging
import os
import re
import sys
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from math import isfinite
from pathlib import Path
from typing import Literal, Protocol, TextIO, TypeAlias

from node_daemon.files import PRIVATE_FILE, disk_error, make_private_folder
from node_daemon.log_writer import PatientHandler
from p2pfl.identity.keys import ID_CHARACTERS, short_id

Fact: TypeAlias = "str | int | float | bool | bytes | Sequence[Fact] | Mapping[str, Fact] | None"
LogFormat: TypeAlias = Literal["auto", "text", "json"]

MAX_TEXT = 200  # characters of one fact
MAX_NAME = 64  # characters of a fact's name
MAX_MESSAGE = 2000  # characters of ``msg``, our own sentence or another library's
MAX_LISTED = 8  # items of a list in a line for people
MAX_DEPTH = 4  # of lists and maps within a fact
REPEAT_PERIOD_S = 60.0
MAX_REMEMBERED = 1024  # different lines whose repeats are counted
MAX_LOG_FILE_BYTES = 16 << 20  # then one older file is kept
EVENT_COLUMN = 14

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|.?)")
_FIRST = ("peer", "round", "msg", "problem")  # shown without their name, before the others
_LAST = ("elapsed_s",)  # without its name, after them
_BARE = frozenset(_FIRST + _LAST)
_LONG = frozenset({"msg", "problem"})  # sentences
_HIDDEN = frozenset({"traceback"})  # of many lines: in JSON only
_DASHED_ID = ID_CHARACTERS + 7


@dataclass(frozen=True, slots=True)
class Line:
    """What ``log_event`` hands to the formatters with a log record."""

    event: str
    facts: Mapping[str, Fact]


def log_event(logger: logging.Logger, level: int, event: str, **facts: Fact) -> None:
    """Log one event; ``msg`` is a sentence for people, ``peer`` a full id, ``round`` a number."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"line": Line(event, facts)}, stacklevel=2)


def utc_now() -> str:
    """The wall clock as RFC 3339, for display only: no decision depends on it."""
    return _rfc3339(datetime.now(tz=UTC))


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text from others made harmless for a terminal: no escapes, no control or direction characters, cut."""
    if len(text) <= limit and text.isascii() and text.isprintable():  # nearly always
        return text
    visible = "".join(
        " " if character in "\n\r\t\u2028\u2029" else character
        for character in _ESCAPE.sub("", text[: 4 * limit])
        if character in "\n\r\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def to_json(facts: Mapping[str, Fact]) -> str:
    """Facts as one JSON object in one line: texts cleaned, bytes in hex, what is not finite as null."""
    record = {clean(name, MAX_NAME): _plain(value, MAX_DEPTH, _limit(name)) for name, value in facts.items()}
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts, level, event, node, then the facts."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = _line_of(record)
        facts: dict[str, Fact] = {
            "ts": _rfc3339(datetime.fromtimestamp(record.created, tz=UTC)),
            "level": record.levelname.lower(),
            "event": line.event,
            "node": self._node,
        }
        facts |= {name: value for name, value in _facts_of(record).items() if name not in facts}
        if record.exc_info:
            # Our own traceback, of many lines: escaped by JSON, cut from the front.
            facts["traceback"] = tuple(self.formatException(record.exc_info).splitlines()[-40:])
        return to_json(facts)


class TextFormatter(logging.Formatter):
    """``14:02:19 INFO  round.done     42  loss 0.318``, in local time, without tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        clock = datetime.fromtimestamp(record.created, tz=UTC).astimezone().strftime("%H:%M:%S")
        level = "WARN" if record.levelno == logging.WARNING else record.levelname
        facts = _named(_facts_of(record))
        words = [_word(name, facts[name]) for name in _FIRST if name in facts]
        others = (name for name in facts if name not in _BARE | _HIDDEN and facts[name] not in ((), [], ""))
        words += [f"{_label(name)} {_word(name, facts[name])}" for name in others]
        words += [_word(name, facts[name]) for name in _LAST if name in facts]
        if record.exc_info and record.exc_info[0] is not None:
            words.append(clean(f"{record.exc_info[0].__name__}: {record.exc_info[1]}"))
        return f"{clock} {level:<5} {_line_of(record).event:<{EVENT_COLUMN}} {'  '.join(words)}".rstrip()


class RepeatFilter(logging.Filter):
    """Lets a line through once per ``REPEAT_PERIOD_S``; the next one says how many were left out.

    Warnings and errors repeat when event and peer are the same, other lines when every fact is.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a repeat; else the record now says how many ``repeats`` were left out before it."""
        key = _repeat_key(record, _line_of(record))
        now_s = self._now_s()
        written_s, left_out = self._seen.get(key, (None, 0))
        if written_s is not None and now_s - written_s < REPEAT_PERIOD_S:
            self._seen[key] = (written_s, left_out + 1)
            return False
        self._seen[key] = (now_s, 0)
        self._seen.move_to_end(key)
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        record.__dict__["repeats"] = left_out  # set anew by each handler's own filter
        return True


class _Stream(Protocol):
    def isatty(self) -> bool: ...


def is_text(format: LogFormat, stream: _Stream) -> bool:
    """Whether lines for people are wanted: asked for, or ``auto`` on a terminal."""
    return format == "text" or (format == "auto" and stream.isatty())


def stream_handler(stream: TextIO, *, node: str, format: LogFormat = "auto") -> logging.Handler:
    """A handler that writes to a terminal or a pipe, without ever waiting; add it to the root logger."""
    handler = _writer(stream)
    handler.setFormatter(TextFormatter() if is_text(format, stream) else JsonFormatter(node))
    handler.addFilter(RepeatFilter())
    return handler


def _writer(stream: TextIO) -> logging.Handler:
    """What is no file of the system (a test's, a notebook's) takes lines at once."""
    try:
        return PatientHandler(stream.fileno())
    except (OSError, AttributeError):
        return logging.StreamHandler(stream)


class _PrivateFileHandler(RotatingFileHandler):
    """Makes every file, also the one after a rotation, readable by its owner alone."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A disk that takes no more lines is not worth a traceback each: they go to stderr all the same."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def file_handler(path: Path, *, node: str, max_bytes: int = MAX_LOG_FILE_BYTES) -> logging.Handler:
    """A handler that appends JSON lines, tracebacks included, to a private file of bounded size."""
    make_private_folder(path.parent)
    try:
        handler = _PrivateFileHandler(path, maxBytes=max_bytes, backupCount=1)
    except OSError as error:
        raise disk_error("open", path, error) from error
    handler.setFormatter(JsonFormatter(node))
    handler.addFilter(RepeatFilter())
    return handler


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line_of(record: logging.LogRecord) -> Line:
    """The event of one of our records; a line of another library is the event ``log`` with its text."""
    line = record.__dict__.get("line")
    if isinstance(line, Line):
        return line
    return Line("log", {"logger": record.name, "msg": clean(record.getMessage(), MAX_MESSAGE)})


def _facts_of(record: logging.LogRecord) -> Mapping[str, Fact]:
    facts = _line_of(record).facts
    repeats = record.__dict__.get("repeats", 0)
    return {**facts, "repeats": repeats} if repeats else facts


def _repeat_key(record: logging.LogRecord, line: Line) -> tuple[str, ...]:
    where = (record.name, record.levelname, line.event)
    if line.event == "log" or record.levelno < logging.WARNING:
        return (*where, to_json(line.facts))
    return (*where, str(line.facts.get("peer", "")))


def _plain(value: Fact, depth: int, limit: int = MAX_TEXT) -> object:
    match value:
        case str():
            return clean(value, limit)
        case bytes():
            return value[:limit].hex()
        case float():
            return float(value) if isfinite(value) else None
        case Mapping() if depth:
            return {clean(str(name), MAX_NAME): _plain(item, depth - 1) for name, item in value.items()}
        case Sequence() if depth:
            return [_plain(item, depth - 1) for item in value]
        case _:
            return value if value is None or isinstance(value, int) else clean(str(value))


def _named(facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """A peer by its name, where that is known: ``garage (QE4XODV)``."""
    peer, name = facts.get("peer"), facts.get("name")
    if not isinstance(peer, str) or not isinstance(name, str) or not name:
        return facts
    both = f"{clean(name, MAX_NAME)} ({_word('peer', peer)})"
    return {key: both if key == "peer" else value for key, value in facts.items() if key != "name"}


def _limit(name: str) -> int:
    return MAX_MESSAGE if name in _LONG else MAX_TEXT


def _label(name: str) -> str:
    return name.removesuffix("_s").removesuffix("_bytes").replace("_", " ")


def _word(name: str, value: Fact) -> str:
    """A fact for people: short ids, three decimals, units spelt out."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            text = f"{value:.1f}" if name.endswith("_s") else f"{value:.3f}"
        case str():
            text = clean(value, _limit(name))
            return short_id(text) if len(text) == _DASHED_ID and text[7:64:8] == "-" * 7 else text
        case list() | tuple():
            return ", ".join(_word(name, item) for item in value[:MAX_LISTED]) + (
                f" and {len(value) - MAX_LISTED} more" if len(value) > MAX_LISTED else ""
            )
        case _:
            text = clean(str(_plain(value, MAX_DEPTH)))
    if name.endswith("_s"):
        return f"{text} s"
    return f"{text} bytes" if name.endswith("_bytes") else text
