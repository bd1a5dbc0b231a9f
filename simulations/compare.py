"""``p2pnode sim compare``: finished runs side by side, in a table and a picture."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from p2pfl.errors import ConfigError
from simulations.curves import RunCurves, accuracy_curve
from simulations.extras import check_picture, from_extra
from simulations.plain_data import Plain
from simulations.point_labels import labels
from simulations.result import Result
from simulations.result_files import FACTS
from simulations.result_text import bytes_text

COLUMNS = ("RUN", "NODES", "ROUNDS", "SEED", "ACCURACY", "DISTANCE", "SENT", "VIRTUAL S", "DIFFERS IN")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Finished runs, for people (a table of ``columns`` and ``rows``) and for programs (``data``)."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Run:
    """What is kept of a run: its models are not."""

    folder: Path
    summary: Mapping[str, Plain]
    curves: RunCurves


def compare_folders(folders: Sequence[Path], *, plot: Path | None = None) -> Comparison:
    """The runs in these folders, and in those of the sweeps among them; a picture of them goes to ``plot``.

    Raises ConfigError for a folder without results, StateError for a damaged one.
    """
    check_picture(plot)
    runs = [_run(folder) for given in folders for folder in run_folders(given)]
    differences = _differences(runs)
    if plot is not None:
        _draw(runs, differences, plot)
    data: dict[str, object] = {
        "runs": [
            {"folder": str(run.folder), "differs_in": difference, **run.summary}
            for run, difference in zip(runs, differences, strict=True)
        ]
    }
    if plot is not None:
        data["plot"] = str(plot)
    return Comparison(COLUMNS, [_row(*pair) for pair in zip(runs, differences, strict=True)], data)


def run_folders(folder: Path) -> Iterator[Path]:
    """The folder of a result itself, or those in the folder of a sweep; raises ConfigError for any other."""
    if (folder / FACTS).is_file():
        yield folder
        return
    inner = sorted(path.parent for path in folder.glob(f"*/{FACTS}") if not path.parent.name.startswith("."))
    if not inner:
        raise ConfigError(
            "there is no result of an experiment",
            where=str(folder),
            fix="p2pnode sim run FILE.toml --out DIR",
        )
    yield from inner


def _run(folder: Path) -> _Run:
    result = Result.load(folder)
    curves = RunCurves(folder.name, accuracy_curve(result.accuracy or result.final), result.by_round)
    return _Run(folder, result.summary(), curves)


def _draw(runs: Sequence[_Run], differences: Sequence[str], path: Path) -> None:
    draw = cast(Callable[..., object], from_extra("simulations.plots:plot_runs"))
    pairs = zip(runs, differences, strict=True)
    draw([replace(run.curves, name=difference or run.folder.name) for run, difference in pairs], path)


def _differences(runs: Sequence[_Run]) -> list[str]:
    """In which options the runs differ; nothing where some are the same experiment."""
    try:
        return labels([dict(cast(Mapping[str, Plain], run.summary["config"])) for run in runs])
    except ConfigError:
        return ["" for _ in runs]


def _row(run: _Run, difference: str) -> list[object]:
    found = run.summary
    seconds, sent = found["virtual_seconds"], found["bytes_sent"]
    return [
        run.folder.name,
        found["nodes"],
        found["rounds"],
        found["seed"],
        found["final_accuracy"],
        f"{found['consensus_distance']:.4g}",
        bytes_text(sent) if isinstance(sent, int | float) else "-",
        f"{seconds:,.1f}" if isinstance(seconds, int | float) else None,
        difference,
    ]
