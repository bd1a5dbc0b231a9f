"""``doctor``: gathers what is known of the node, has it examined, and puts the findings into words."""

import textwrap
from collections.abc import Callable, Mapping

from node_daemon.config import Config
from node_daemon.control_client import Json, request
from node_daemon.doctor.checks import CHECKS, Timed
from node_daemon.doctor.examination import Examination, examine
from node_daemon.doctor.finding import Case, Finding, Grade
from node_daemon.output import Answer, terminal_width
from node_daemon.paths import Paths
from p2pfl.errors import ConfigError, P2PError

WORDS = {Grade.OK: "ok", Grade.WARN: "warn", Grade.FAIL: "FAIL"}
LEAST_WIDTH = 40  # of the last column


def doctor(
    paths: Paths, load: Callable[[], Config], checks: Mapping[str, Timed] = CHECKS
) -> tuple[Answer, Examination]:
    """Examine the node of these paths; ``load`` reads its config."""
    found = examine(_case(paths, load), checks)
    failures, warnings = found.count(Grade.FAIL), found.count(Grade.WARN)
    data: dict[str, object] = {
        "findings": [_fields(finding) for finding in found.findings],
        "failures": failures,
        "warnings": warnings,
    }
    counted = [_count(failures, "failure"), _count(warnings, "warning")]
    summary = ", ".join(filter(None, counted)) or "all is well"
    return Answer(data, "\n".join([*_lines(found), summary])), found


def _case(paths: Paths, load: Callable[[], Config]) -> Case:
    def ask(command: str) -> Mapping[str, Json]:
        return request(paths.socket, command)

    config: Config | P2PError
    try:
        config = load()
    except ConfigError as error:
        config = error
    try:
        return Case(paths, config, ask("status"), ask)
    except P2PError:  # it does not run
        return Case(paths, config, None, ask)


def _lines(found: Examination) -> list[str]:
    width = max((len(finding.name) for finding in found.findings), default=0)
    columns = max(LEAST_WIDTH, (terminal_width() or 120) - width - 8)
    return [line for finding in found.findings for line in _entry(finding, width, columns)]


def _entry(finding: Finding, width: int, columns: int) -> list[str]:
    indent = " " * (8 + width)
    first, *others = textwrap.wrap(finding.found, columns, break_long_words=False) or [""]
    remedy = textwrap.wrap(f"-> {finding.remedy}", columns, break_long_words=False) if finding.remedy else []
    head = f"{WORDS[finding.grade]:<6}{finding.name:<{width}}  {first}"
    return [head.rstrip(), *(f"{indent}{line}" for line in [*others, *remedy])]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""


def _fields(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "grade": finding.grade.value,
        "found": finding.found,
        "remedy": finding.remedy,
    }
