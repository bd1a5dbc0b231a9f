"""What the readers of files share: bytes in order, plain or gzip, bounded, and errors that name the place.

A reader asks for what the format promises next; whatever is not there, or is left over, is a ConfigError
that names the file, the offset, and what was expected.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from p2pfl.errors import ConfigError

MAX_CONTENT_BYTES = 1 << 31  # of one file, unpacked
GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032  # a deflate stream unpacks to at most so many times its size
BLOCK_BYTES = 1 << 20


class Content:
    """The bytes of one data file in their order; never more in memory than the file can hold.

    ``room`` bounds the unpacked size, so that a size claimed by a header costs nothing before it is checked.
    """

    def __init__(self, stream: IO[bytes], path: Path, *, kind: str, room: int) -> None:
        self._stream = stream
        self._path = path
        self._kind = kind
        self._room = room
        self._offset = 0

    def take(self, size: int, what: str) -> bytes:
        """Exactly the next ``size`` bytes, which hold ``what``."""
        wanted = f"{size} bytes of {what}"
        if size > self._room - self._offset:
            raise self.wrong(self._offset, expected=wanted, found=f"at most {self._room - self._offset}")
        start, found = self._offset, self._read(size)
        if len(found) < size:
            raise self.wrong(start, expected=wanted, found=f"the end of the file after {len(found)}")
        return found

    def rest(self) -> bytes:
        """Everything that is left, up to the limit of a file."""
        blocks = []
        while block := self._read(BLOCK_BYTES):
            blocks.append(block)
            if self._offset > MAX_CONTENT_BYTES:
                raise self.wrong(self._offset, expected=f"at most {MAX_CONTENT_BYTES} bytes", found="more")
        return b"".join(blocks)

    def end(self) -> None:
        """Refuse anything that is left."""
        offset = self._offset
        if self._read(1):
            raise self.wrong(offset, expected="the end of the file", found="more bytes")

    def wrong(self, offset: int, *, expected: str, found: str) -> ConfigError:
        """The error for what stands at ``offset`` (of the unpacked bytes)."""
        return malformed(self._kind, f"{self._path}, byte {offset}", expected=expected, found=found)

    def _read(self, size: int) -> bytes:
        try:
            found = self._stream.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self.wrong(self._offset, expected="a whole gzip stream", found=str(error)) from error
        except OSError as error:
            raise unreadable(self._path, error) from error
        self._offset += len(found)
        return found


@contextmanager
def opened(path: Path, *, kind: str) -> Iterator[Content]:
    """The file's content; gzip is known by its first bytes.  ``kind`` names the format in errors."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from error
    with stream:
        size = path.stat().st_size
        if stream.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
            stream.seek(0)
            yield Content(stream, path, kind=kind, room=min(size, MAX_CONTENT_BYTES))
            return
        stream.seek(0)
        with gzip.GzipFile(fileobj=stream) as unpacked:
            room = min(size * DEFLATE_RATIO, MAX_CONTENT_BYTES)
            yield Content(unpacked, path, kind=kind, room=room)  # type: ignore[arg-type]


def read_text(path: Path, *, kind: str) -> str:
    """A whole file of UTF-8, with line ends of any kind as ``\\n``."""
    with opened(path, kind=kind) as content:
        found = content.rest()
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{path}, byte {error.start}"
        raise malformed(kind, place, expected="UTF-8", found=f"byte 0x{found[error.start]:02x}") from error
    if not text:
        raise malformed(kind, f"{path}, byte 0", expected="some text", found="an empty file")
    return io.StringIO(text, newline=None).read()


def malformed(kind: str, place: str, *, expected: str, found: str) -> ConfigError:
    """The error for a file that is not what its format says; ``place`` is the file and where in it."""
    return ConfigError(f"malformed {kind}: expected {expected}, found {found}", where=place)


def unreadable(path: Path, error: OSError) -> ConfigError:
    """The error for a file that is missing or not ours to read."""
    return ConfigError(
        f"cannot read {path}: {error.strerror or error}", where="task.path", fix="correct the path"
    )


def require_whole(option: str, found: object, *, least: int) -> None:
    """Refuse an option that is not a whole number from ``least`` on."""
    if isinstance(found, bool) or not isinstance(found, int) or found < least:
        raise ConfigError(
            f"{option} must be a whole number from {least}, not {found!r}", where=f"task.{option}"
        )


def require_share(option: str, found: object) -> None:
    """Refuse an option that is not a number between 0 and 1, both excluded."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 1:
        raise ConfigError(f"{option} must be a number between 0 and 1, not {found!r}", where=f"task.{option}")


def path_of(found: object, *, option: str = "path") -> Path:
    """A path from an option's text, ``~`` expanded."""
    if not isinstance(found, str) or not found or "\0" in found:
        raise ConfigError(f"{option} must be a path, not {found!r}", where=f"task.{option}")
    return Path(found).expanduser()
