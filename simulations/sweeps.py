"""Sweeps: every combination of the values that an experiment's options list, side by side, each kept.

.. code-block:: python

    found = Sweep(topology=["ring", "torus"], nodes=16, seed=range(3)).run("out/rings")
    for point, result in found:
        print(point.label, result if isinstance(result, P2PError) else result.final_accuracy)

Which lists are sweeps says ``simulations.grid``.  All points are checked before any is trained.  A point
that is in the folder already, by the hash of all that it depends on (``simulations.point_hash``), is not run
again: a sweep that was interrupted goes on where it was.  One that fails does not disturb the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias, cast

from p2pfl import registry
from p2pfl.errors import ConfigError, P2PError, unknown_name
from simulations.experiment_table import table_of
from simulations.grid import Point, points
from simulations.local_workers import LocalWorkers, cores
from simulations.point_jobs import Answer, Job, Workers
from simulations.point_store import Figures, PointStore
from simulations.result import Result

CORES, RAY = "cores", "ray"
MAX_FACTS = 5  # points named in one error


class PointError(ConfigError):
    """The operator's: points of the sweep cannot be run; the table must change."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a point: a folder with its result and the figures, or an error."""

    point: Point
    folder: Path | None = None
    figures: Figures | None = None
    error: P2PError | None = None
    is_cached: bool = False
    warnings: Sequence[str] = ()

    def load(self) -> Result | P2PError:
        """The result, from its folder; else the error, also that of a result which has been damaged since."""
        if self.folder is None:
            assert self.error is not None
            return self.error
        try:
            return Result.load(self.folder)
        except P2PError as error:
            return error


Watch: TypeAlias = Callable[[Outcome], None]


class Sweep:
    """The points of a table, or of keyword arguments as ``Experiment`` has them, any of which may be a list.

    Raises ConfigError, naming the key, for what cannot be swept.
    """

    def __init__(self, table: Mapping[str, object] | None = None, **options: object) -> None:
        whole = {**(table or {}), **options}
        self.points = tuple(points({key: _written(key, value) for key, value in whole.items()}))

    def run(
        self, out: str | Path, *, jobs: int | None = None, on: str = CORES, address: str | None = None
    ) -> list[tuple[Point, Result | P2PError]]:
        """Run what is not in ``out`` yet; every point with its result, or with the error that ended it.

        On ``"cores"`` there are ``jobs`` processes (default: one per core); on ``"ray"`` the cluster at
        ``address`` decides.  Raises ConfigError for an error in any point before a single one is trained.
        """
        found = self.outcomes(out, jobs=jobs, on=on, address=address)
        return [(outcome.point, outcome.load()) for outcome in found]

    def outcomes(
        self,
        out: str | Path,
        *,
        jobs: int | None = None,
        on: str = CORES,
        address: str | None = None,
        watch: Watch | None = None,
    ) -> list[Outcome]:
        """As ``run``, without loading results; ``watch`` is told of each outcome as it comes.

        A KeyboardInterrupt ends the processes and passes through; the finished points stay.
        """
        make_workers = _place(on, jobs, address)
        found: dict[str, Outcome] = {}

        def note(outcome: Outcome) -> None:
            found[outcome.point.label] = outcome
            if watch is not None:
                watch(outcome)

        with PointStore(Path(out)) as store:
            missing = []
            for point in self.points:
                known = store.find(point)
                if known is None:
                    missing.append(point)
                else:
                    note(Outcome(point, *known, is_cached=True))
            if missing:
                with make_workers() as workers:
                    _run(missing, store, workers, note=note)
        return [found[point.label] for point in self.points]


def _written(key: str, value: object) -> object:
    """An option as a file has it; graphs and networks may stand in a list too."""
    if isinstance(value, list | tuple | range):
        return [_written(key, each) for each in value]
    return table_of({key: value}).get(key)


def _place(on: str, jobs: int | None, address: str | None) -> Callable[[], Workers]:
    """Where points are run; everything about it is checked now."""
    if on not in (CORES, RAY):
        raise unknown_name("place", on, (CORES, RAY), where="on")
    if jobs is not None and jobs < 1:
        raise ConfigError(f"{jobs} jobs at a time", where="jobs", fix="take 1 or more")
    if on == CORES:
        if address is not None:
            raise ConfigError(
                "an address is of a Ray cluster", where="address", fix="run on ray, or leave it out"
            )
        return lambda: LocalWorkers(jobs or cores())
    if find_spec("ray") is None:
        raise ConfigError("Ray is not installed", where="on", fix="pip install 'p2pnode[ray]'")
    cluster = cast(Callable[..., Workers], registry.load("simulations.ray_cluster:RayCluster"))
    return partial(cluster, address, limit=jobs)


def _run(missing: Sequence[Point], store: PointStore, workers: Workers, *, note: Watch) -> None:
    is_checked = len(missing) > 1  # a single one is checked as it begins
    if is_checked:
        answers = {job.point.label: answer for job, answer in workers.work([*map(Job, missing)])}
        _refuse_wrong(missing, answers)
    for job, answer in workers.work([Job(point, store.partial(point)) for point in missing]):
        if not is_checked:
            _refuse_wrong(missing, {job.point.label: answer})
        note(_outcome(job.point, answer, store))


def _refuse_wrong(missing: Sequence[Point], answers: Mapping[str, Answer]) -> None:
    """Raise PointError if a point is; what else may happen to it, happens when it runs."""
    failures = [(label, answers[label].failure) for label in (point.label for point in missing)]
    wrong = [(label, each.error()) for label, each in failures if each is not None and each.is_of_the_config]
    if not wrong:
        return
    facts = [f"in point: {label}: {error}" for label, error in wrong[:MAX_FACTS]] if len(missing) > 1 else []
    if len(wrong) > MAX_FACTS:
        facts.append(f"and {len(wrong) - MAX_FACTS} more of {len(missing)} points")
    first = wrong[0][1]
    raise PointError(first.what, where=first.where, facts=[*first.facts, *facts], fix=first.fix)


def _outcome(point: Point, answer: Answer, store: PointStore) -> Outcome:
    if answer.failure is None:
        assert answer.figures is not None, "a run has figures"
        folder = store.keep(point, answer.figures)
        return Outcome(point, folder, answer.figures, warnings=answer.warnings)
    error = answer.failure.error()
    if answer.failure.log:
        error.facts = (*error.facts, f"what it said last is in {store.note_error(point, answer.failure.log)}")
    return Outcome(point, error=error, warnings=answer.warnings)
