"""msgpack maps from others: decoded once under hard limits, then read field by field with a check on each."""

import math
from collections.abc import Mapping

import msgpack

from p2pfl.errors import RemoteError

MAX_INTEGER = 2**63 - 1
MAX_ID = 64  # characters of a node id, a kind or a field's name
MAX_TEXT = 200  # characters of a text for people
_MISSING = object()


def pack(values: Mapping[str, object]) -> bytes:
    """The msgpack bytes of a map of our own."""
    packed: bytes = msgpack.packb(values)
    return packed


def unpack(payload: bytes) -> "Record":
    """The map in a frame; raises RemoteError for everything else, whatever the bytes are."""
    try:
        value = msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_array_len=4096,
            max_map_len=1024,
            max_str_len=4096,
            max_bin_len=65536,
            max_ext_len=0,
            object_pairs_hook=_without_duplicates,
        )
    except ValueError as error:  # msgpack's own errors and bad UTF-8 are kinds of it
        raise RemoteError("not a msgpack map within the limits") from error
    if not isinstance(value, dict):
        raise RemoteError("a msgpack value that is no map")
    return Record(value)


def _without_duplicates(pairs: list[tuple[str | bytes, object]]) -> dict[str | bytes, object]:
    """A map whose keys differ; msgpack alone would let the last of two win."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def is_word(text: str) -> bool:
    """Whether a text is an id or a name for machines: printable ASCII without blanks, not too long."""
    return 0 < len(text) <= MAX_ID and text.isascii() and text.isprintable() and " " not in text


def cleaned(text: str, limit: int = MAX_TEXT) -> str:
    """A text for people, from anybody: cut to ``limit`` characters, without control or escape characters."""
    short = text[:limit]
    if short.isprintable():  # nearly always
        return short
    return "".join(letter if letter.isprintable() else "?" for letter in short)


class Record:
    """A map from others; each reader checks type, range and length and raises RemoteError."""

    def __init__(self, values: Mapping[object, object]) -> None:
        self._values = values

    def integer(self, key: str, *, default: int | None = None) -> int:
        """A whole number from 0 to 2^63 - 1."""
        value = self._get(key, default)
        if type(value) is not int or not 0 <= value <= MAX_INTEGER:
            raise _wrong(key, "a whole number from 0 to 2^63 - 1")
        return value

    def number(self, key: str) -> float:
        """A finite number of at least 0."""
        value = self._get(key)
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
            raise _wrong(key, "a finite number of at least 0")
        return float(value)  # type: ignore[arg-type]  # one of the two types above

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if type(value) is not bool:
            raise _wrong(key, "true or false")
        return value

    def octets(self, key: str, *, length: int = 0, at_most: int = 0) -> bytes:
        """Bytes of exactly ``length``, or of at most ``at_most``."""
        value = self._get(key)
        if type(value) is not bytes or not (len(value) == length if length else len(value) <= at_most):
            raise _wrong(key, f"{length or 'at most ' + str(at_most)} bytes")
        return value

    def word(self, key: str) -> str:
        """A text for machines: an id, a kind, a code."""
        value = self._get(key)
        if type(value) is not str or not is_word(value):
            raise _wrong(key, f"1 to {MAX_ID} printable characters without blanks")
        return value

    def text(self, key: str, *, limit: int = MAX_TEXT) -> str:
        """A text for people, cleaned; "" where it is missing."""
        value = self._get(key, "")
        if type(value) is not str:
            raise _wrong(key, "a text")
        return cleaned(value, limit)

    def items(self, key: str, *, at_most: int) -> list[object]:
        """A list, empty where it is missing."""
        value = self._get(key, [])
        if type(value) is not list or len(value) > at_most:
            raise _wrong(key, f"a list of at most {at_most}")
        return value

    def record(self, key: str, *, at_most: int) -> "Record | None":
        """A map in the map, None where it is missing."""
        value = self._get(key, None)
        if value is None:
            return None
        if type(value) is not dict or len(value) > at_most:
            raise _wrong(key, f"a map of at most {at_most}")
        return Record(value)

    def pairs(self) -> list[tuple[object, object]]:
        """All keys and values, unchecked."""
        return list(self._values.items())

    def _get(self, key: str, default: object = _MISSING) -> object:
        value = self._values.get(key, default)
        if value is _MISSING:
            raise RemoteError(f"{key} is missing")
        return value


def _wrong(key: str, wanted: str) -> RemoteError:
    return RemoteError(f"{key} is not {wanted}")
