"""Runs checks side by side, each for a bounded time; a check that breaks fails itself and nothing else."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from node_daemon.doctor.checks import Timed
from node_daemon.doctor.finding import Case, Finding, Grade, NotExaminedError
from p2pfl.errors import P2PError


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings, in the order of the table; a check that is ``unfinished`` may still run in its thread."""

    findings: tuple[Finding, ...]
    unfinished: tuple[str, ...] = ()

    def count(self, grade: Grade) -> int:
        """How many findings have this grade."""
        return sum(finding.grade is grade for finding in self.findings)


@dataclass(slots=True)
class _Course:
    """One check in its thread: what it found, or what broke it."""

    findings: Sequence[Finding] = ()
    error: BaseException | None = None
    is_over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "_Course":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        self.error = error
        self.is_over.set()
        return isinstance(error, Exception)


def examine(case: Case, checks: Mapping[str, Timed]) -> Examination:
    """Run all checks on one case."""
    began_s = time.monotonic()
    courses = {name: _begin(case, timed) for name, timed in checks.items()}
    findings: list[Finding] = []
    unfinished: list[str] = []
    for name, course in courses.items():
        left_s = began_s + checks[name].limit_s - time.monotonic()
        if not course.is_over.wait(max(0.0, left_s)):
            unfinished.append(name)
        findings += _outcome(name, course, checks[name].limit_s)
    return Examination(tuple(findings), tuple(unfinished))


def _begin(case: Case, timed: Timed) -> _Course:
    course = _Course()

    def carry_out() -> None:
        with course:
            course.findings = timed.check(case)

    threading.Thread(target=carry_out, daemon=True).start()  # one that hangs keeps nobody from leaving
    return course


def _outcome(name: str, course: _Course, limit_s: float) -> Sequence[Finding]:
    if not course.is_over.is_set():
        return [Finding(name, Grade.FAIL, f"took longer than {limit_s:g} s", "try again on an idle machine")]
    match course.error:
        case None:
            return course.findings
        case NotExaminedError() as error:
            return [Finding(name, Grade.WARN, error.what, error.fix)]
        case P2PError() as error:
            return [Finding(name, Grade.FAIL, "; ".join([str(error), *error.facts]), error.fix)]
        case error:
            what = f"the check itself broke: {type(error).__name__}: {error}"
            return [Finding(name, Grade.FAIL, what, "report this")]
