"""Homes to examine."""

from collections.abc import Mapping
from pathlib import Path

from node_daemon.config import load_config
from node_daemon.control_client import Json
from node_daemon.doctor.finding import Case, Finding
from node_daemon.paths import home_paths
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private


def case_of(
    home: Path,
    text: str = "",
    *,
    trust: str = 'mode = "open"\n',
    status: Mapping[str, Json] | None = None,
    peers: Mapping[str, Json] | None = None,
) -> Case:
    """The case of a home with this config and trust file; ``peers`` is what its daemon says."""
    write_private(home / "p2pnode.toml", text)
    write_private(home / "trust.toml", trust)
    try:
        return Case(home_paths(home), load_config(home=home), status, lambda _: peers or {})
    except ConfigError as error:
        return Case(home_paths(home), error, status)


def in_words(findings: object) -> str:
    """One finding: grade, what was found, remedy."""
    assert isinstance(findings, list | tuple)
    (finding,) = findings
    assert isinstance(finding, Finding)
    assert finding.grade.value == "ok" or finding.remedy
    return f"{finding.grade.value} {finding.found} -> {finding.remedy}"
