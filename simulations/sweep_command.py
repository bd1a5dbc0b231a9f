"""``p2pnode sim run``: the experiment of a file, or the sweep, run and put into words."""

import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table

from p2pfl.errors import P2PError
from simulations.compare import compare_folders
from simulations.environment import modules_beside
from simulations.experiment import Experiment
from simulations.experiment_file import in_file, read_table
from simulations.extras import check_picture
from simulations.result import Result
from simulations.result_files import check_writable
from simulations.result_text import bytes_text
from simulations.sweeps import CORES, Outcome, PointError, Sweep

DEFAULT_OUT = Path("out")
DONE, FAILED, INTERRUPTED = 0, 1, 130  # exit codes


@dataclass(frozen=True, slots=True)
class Report:
    """What the command says, for programs and for people, and what it ends with."""

    data: Mapping[str, object]
    text: str
    exit_code: int = DONE


def run_file(
    path: str | Path,
    *,
    out: Path | None = None,
    jobs: int | None = None,
    on: str | None = None,
    address: str | None = None,
    plot: Path | None = None,
) -> Report:
    """Run what the file says; results go to ``out``, a picture of them to ``plot``.

    A single experiment runs in this process; of a sweep every point that is not in ``out`` yet (by default
    ``out/NAME-OF-THE-FILE``), side by side.  Exit code 1 says that a point has failed, 130 that Ctrl-C has
    ended it.  Own modules may lie beside the file.  Raises ConfigError, naming file and key, before
    anything is trained, and StateError where nothing can be written.
    """
    check_picture(plot, made=out)
    with modules_beside(Path(path)):
        return _run_file(path, out=out, jobs=jobs, on=on, address=address, plot=plot)


def _run_file(
    path: str | Path,
    *,
    out: Path | None,
    jobs: int | None,
    on: str | None,
    address: str | None,
    plot: Path | None,
) -> Report:
    table = read_table(path)
    with in_file(path):
        sweep = Sweep(table)
    if len(sweep.points) == 1 and on is None and address is None:
        if out is not None:
            check_writable(out)
        with in_file(path), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            result = Experiment.from_table(sweep.points[0].table).run()
        return report_single(result, out=out, plot=plot)
    folder = out or DEFAULT_OUT / Path(path).stem
    progress = _Progress(len(sweep.points))
    try:
        found = sweep.outcomes(folder, jobs=jobs, on=on or CORES, address=address, watch=progress.note)
    except PointError:
        with in_file(path):
            raise
    except KeyboardInterrupt:
        return _interrupted(f"{progress.kept} of {len(sweep.points)} points are in {folder}", path, out)
    return report_sweep(found, folder, plot=plot)


def report_single(result: Result, *, out: Path | None, plot: Path | None) -> Report:
    """Keep and draw one result, and say so."""
    data: dict[str, object] = dict(result.summary())
    text = repr(result)
    if out is not None:
        result.save(out)
        data["folder"] = str(out)
        text += f"\nresult in {out}"
    if plot is not None:
        result.plot(plot)
        data["plot"] = str(plot)
        text += f"\npicture in {plot}"
    return Report(data, text)


def report_sweep(found: Sequence[Outcome], folder: Path, *, plot: Path | None) -> Report:
    """Draw the results, and say what came of each point; errors and warnings go to stderr."""
    data: dict[str, object] = {"folder": str(folder), "points": [_plain(outcome) for outcome in found]}
    text = f"{_table(found)}\nresults in {folder}"
    finished = [outcome.folder for outcome in found if outcome.folder is not None]
    if plot is not None and finished:
        try:
            compare_folders(finished, plot=plot)
        except P2PError as error:  # the results count more than their picture
            _warn(f"no picture: {error}")
        else:
            data["plot"] = str(plot)
            text += f"\npicture in {plot}"
    for warning in dict.fromkeys(warning for outcome in found for warning in outcome.warnings):
        _warn(warning)
    failed = [outcome for outcome in found if outcome.error is not None]
    sys.stderr.write("".join(map(_error_text, failed)))
    return Report(data, text, FAILED if failed else DONE)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _warn(str(message))


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


class _Progress:
    """A line per finished point, on a terminal."""

    def __init__(self, points: int) -> None:
        self.kept = 0
        self._points = points
        self._seen = 0

    def note(self, outcome: Outcome) -> None:
        """A point has come to its end."""
        self._seen += 1
        self.kept += outcome.error is None
        if sys.stderr.isatty():
            found = outcome.error or f"accuracy {_figure(outcome, 'final_accuracy', '.3f')}"
            sys.stderr.write(
                f"{self._seen}/{self._points}  {outcome.point.label}: {found}, {_kind(outcome)}\n"
            )


def _interrupted(what: str, path: str | Path, out: Path | None) -> Report:
    again = f"p2pnode sim run {path}" + (f" --out {out}" if out is not None else "")
    sys.stderr.write(f"stopped: {what}\n  fix: {again} goes on\n")
    error = {"code": INTERRUPTED, "what": f"stopped: {what}", "where": "", "facts": [], "fix": again}
    return Report({"error": error}, "", INTERRUPTED)


def _table(found: Sequence[Outcome]) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("POINT", overflow="fold")
    for name in ("ACCURACY", "DISTANCE", "SENT", "VIRTUAL S"):
        table.add_column(name, justify="right")
    table.add_column("")
    for outcome in found:
        sent = None if outcome.figures is None else outcome.figures["bytes_sent"]
        table.add_row(
            outcome.point.label,
            _figure(outcome, "final_accuracy", ".3f"),
            _figure(outcome, "consensus_distance", ".4g"),
            "-" if sent is None else bytes_text(sent),
            _figure(outcome, "virtual_seconds", ",.1f"),
            _kind(outcome),
        )
    text = StringIO()
    Console(file=text, width=shutil.get_terminal_size((160, 24)).columns).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _kind(outcome: Outcome) -> str:
    if outcome.error is not None:
        return "failed"
    return "cached" if outcome.is_cached else "new"


def _figure(outcome: Outcome, key: str, form: str) -> str:
    value = None if outcome.figures is None else outcome.figures[key]
    return "-" if value is None else format(value, form)


def _error_text(outcome: Outcome) -> str:
    error = outcome.error
    assert error is not None
    facts = "".join(f"  {fact}\n" for fact in error.facts)
    return f"error: {outcome.point.label}: {error}\n{facts}" + (f"  fix: {error.fix}\n" if error.fix else "")


def _plain(outcome: Outcome) -> dict[str, object]:
    """An outcome for programs."""
    plain: dict[str, object] = {"label": outcome.point.label, "experiment": outcome.point.table}
    if outcome.error is not None:
        error = outcome.error
        fields = {"what": error.what, "where": error.where, "facts": list(error.facts), "fix": error.fix}
        return {**plain, "error": {"code": error.exit_code, **fields}}
    figures = outcome.figures or {}
    return {**plain, "folder": str(outcome.folder), "is_cached": outcome.is_cached, **figures}
