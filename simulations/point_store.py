"""The folder of a sweep: one folder per finished point, found again by the hash of the point.

``OUT/LABEL-HASH/`` holds what ``Result.save`` writes and ``point.json`` (table, hash, figures); a point that
is not finished is in ``OUT/.partial`` only.  ``OUT/LABEL-HASH.error.txt`` says why one has failed.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from p2pfl.errors import ConfigError, StateError
from p2pfl.version import __version__
from simulations.folders import strangers
from simulations.grid import Point
from simulations.point_hash import named_files, point_hash
from simulations.result_files import FACTS, POINT_FILE, is_whole
from simulations.source_hash import Hashes

PARTIAL = ".partial"
LOCK = ".lock"
SCHEMA_VERSION = 1
HASH_DIGITS = 12
MAX_LABEL_CHARACTERS = 80
FIGURES = ("final_accuracy", "consensus_distance", "bytes_sent", "messages_sent", "virtual_seconds")

Figures: TypeAlias = Mapping[str, float | int | None]


class PointStore:
    """Finished points in ``out``; a context manager, and the only one in that folder while it is open.

    Raises ConfigError where another sweep works there or a single result is, StateError where nothing can be
    written.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lock = -1
        self._hashes = Hashes()

    def __enter__(self) -> Self:
        if (self._out / FACTS).exists():
            raise ConfigError(
                "the result of a single experiment is in that folder, which is none for a sweep",
                where=str(self._out),
                fix="name another folder",
            )
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StateError(f"nothing can be written: {error.strerror}", where=str(self._out)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConfigError(
                "another sweep is at work there",
                where=str(self._out),
                fix="wait for it, or name another folder",
            ) from None
        self._clear()
        try:
            (self._out / PARTIAL).mkdir()
        except OSError as error:
            os.close(self._lock)
            raise StateError(f"nothing can be written: {error.strerror}", where=str(self._out)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        os.close(self._lock)

    def find(self, point: Point) -> tuple[Path, Figures] | None:
        """The folder and figures of a point that is there already, whatever its label was then."""
        wanted = point_hash(point.table, self._hashes)
        for folder in sorted(self._out.glob(f"*-{wanted[:HASH_DIGITS]}")):
            try:
                found = json.loads((folder / POINT_FILE).read_text("utf-8"))
            except (OSError, ValueError):
                continue  # not whole: computed again
            if isinstance(found, dict) and found.get("hash") == wanted and is_whole(folder):
                figures = found.get("figures")
                if isinstance(figures, dict) and _are_figures(figures):
                    return folder, figures
        return None

    def partial(self, point: Point) -> Path:
        """Where the result of a point is to be written; nothing is there yet."""
        return self._out / PARTIAL / self._name(point)

    def keep(self, point: Point, figures: Figures) -> Path:
        """Make what is in ``partial`` a finished point, all at once; returns its folder."""
        partial, folder = self.partial(point), self._out / self._name(point)
        content = {
            "schema_version": SCHEMA_VERSION,
            "label": point.label,
            "hash": point_hash(point.table, self._hashes),
            "version": __version__,
            "experiment": point.table,
            "files": named_files(point.table, self._hashes),
            "figures": dict(figures),
        }
        try:
            (partial / POINT_FILE).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
            if folder.exists():  # a point that was not whole
                _keep_strangers(folder, partial)
                shutil.rmtree(folder)
            partial.rename(folder)
            self._error_file(point).unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"the point cannot be written: {error.strerror}", where=str(folder)) from error
        return folder

    def note_error(self, point: Point, text: str) -> Path:
        """Write down why a point has failed; returns the file."""
        path = self._error_file(point)
        path.write_text(text, "utf-8")
        return path

    def _error_file(self, point: Point) -> Path:
        return self._out / f"{self._name(point)}.error.txt"

    def _name(self, point: Point) -> str:
        label = re.sub(r"[^\w.=-]+", "_", point.label, flags=re.ASCII)[:MAX_LABEL_CHARACTERS]
        return f"{label}-{point_hash(point.table, self._hashes)[:HASH_DIGITS]}"

    def _clear(self) -> None:
        shutil.rmtree(self._out / PARTIAL, ignore_errors=True)


def _are_figures(found: Mapping[str, object]) -> bool:
    return all(name in found and isinstance(found[name], int | float | None) for name in FIGURES)


def _keep_strangers(old: Path, new: Path) -> None:
    """What somebody has put into the folder of a point goes along."""
    for path in strangers(old, marker=FACTS, also=[each.name for each in new.iterdir()]):
        path.rename(new / path.name)
