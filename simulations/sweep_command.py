"""``p2pnode sim run``: the experiment of a file, run and put into words; a single one is a sweep of one point."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from p2pfl.errors import ConfigError
from simulations.experiment_file import in_file, read_experiment
from simulations.result import Result


@dataclass(frozen=True, slots=True)
class Report:
    """What the command says, for programs and for people, and what it ends with."""

    data: Mapping[str, object]
    text: str
    exit_code: int = 0


def run_file(
    path: str | Path,
    *,
    out: Path | None = None,
    jobs: int | None = None,  # noqa: ARG001  # of a sweep
    on: str | None = None,
    address: str | None = None,
    plot: Path | None = None,
) -> Report:
    """Run what the file says; the result goes to ``out``, a picture of it to ``plot``.

    Raises ConfigError, naming file and key, before anything is trained.
    """
    if on is not None or address is not None:
        raise ConfigError("a single experiment runs in this process", where="--on", fix="leave it out")
    experiment = read_experiment(path)
    with in_file(path):
        result = experiment.run()
    return report_single(result, out=out, plot=plot)


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
