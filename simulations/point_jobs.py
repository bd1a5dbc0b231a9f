"""What is done for one point of a sweep, wherever that is: plain data in, plain data and files out."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from p2pfl.errors import ConfigError, P2PError
from simulations.experiment import Experiment
from simulations.grid import Point
from simulations.point_store import FIGURES, Figures
from simulations.result import Result


@dataclass(frozen=True, slots=True)
class Job:
    """A point to run, its result to be written to ``folder``; to check only, where there is none."""

    point: Point
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a point could not be run, as plain data; ``log`` is what the process said last."""

    what: str
    where: str = ""
    facts: Sequence[str] = ()
    fix: str = ""
    exit_code: int = 1
    log: str = ""

    @property
    def is_of_the_config(self) -> bool:
        """Whether it is the operator's, and would be the same at every run."""
        return self.exit_code == ConfigError.exit_code

    def error(self) -> P2PError:
        """The error to raise or to show."""
        kind = ConfigError if self.is_of_the_config else P2PError
        return kind(
            self.what, where=self.where, facts=tuple(self.facts), fix=self.fix, exit_code=self.exit_code
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a job: ``failure``, or the ``figures`` of a run."""

    failure: Failure | None = None
    figures: Figures | None = None
    warnings: Sequence[str] = ()

    def table(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


class Workers(Protocol):
    """Those who do the jobs of a sweep; a context manager that leaves nobody behind."""

    def __enter__(self) -> Self:
        """Nothing is started before there is work."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is at work."""
        ...

    def work(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
        """Do all jobs, side by side; yields each as soon as it is done."""
        ...


def do(table: Mapping[str, object], folder: Path | None) -> Answer:
    """Check or run the experiment of a table; errors that are raised on purpose are answers."""
    figures, failure = None, None
    with warnings.catch_warnings(record=True) as caught:
        try:
            experiment = Experiment.from_table(table)
            if folder is None:
                experiment.setting()
            else:
                figures = _run(experiment, folder)
        except P2PError as error:
            failure = Failure(error.what, error.where, error.facts, error.fix, error.exit_code)
    return Answer(failure, figures, [*dict.fromkeys(str(each.message) for each in caught)])


def answer_from(found: Mapping[str, object]) -> Answer:
    """The answer that ``Answer.table`` was."""
    failure = found["failure"]
    return Answer(**{**found, "failure": failure and Failure(**failure)})  # type: ignore[arg-type]


def figures_of(result: Result) -> Figures:
    """The figures by which points are compared."""
    return {name: getattr(result, name) for name in FIGURES}


def _run(experiment: Experiment, folder: Path) -> Figures:
    result = experiment.run(progress=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    result.save(folder)
    return figures_of(result)
