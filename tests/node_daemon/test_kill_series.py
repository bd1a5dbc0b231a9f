"""R9: whatever the instant of a ``kill -9``, no state is unreadable and nothing announced is lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.examples import REPEATABLE_EXAMPLES

SEED = 20_260
FEW, MANY, MOST = 18, 200, 2000


def series(folder: Path, kills: int, seed: int = SEED) -> dict[str, object]:
    """The report of ``kill_program.py``, which imports what a writer needs and nothing more."""
    command = [sys.executable, "-m", "tests.node_daemon.kill_program", str(folder), str(kills), str(seed)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=500)
    assert answer.returncode == 0, answer.stderr
    report: dict[str, object] = json.loads(answer.stdout)
    return report


def check(report: dict[str, object], kills: int) -> None:
    assert report["problems"] == [], f"seed {SEED}"
    assert report["kills"] == kills
    assert report["torch"] is False  # the writer imports none
    by_point = report["by_point"]
    assert isinstance(by_point, dict)
    assert min(by_point.values()) >= 1
    assert int(str(report["files"])) <= 4  # three, and one whose deletion a kill prevented


def test_a_few_kills_at_random_and_at_every_failpoint_lose_nothing_announced(tmp_path: Path) -> None:
    check(series(tmp_path / "state", FEW), FEW)


@pytest.mark.slow
def test_200_kills_at_random_and_at_every_failpoint_lose_nothing_announced(tmp_path: Path) -> None:
    kills = MANY if settings().max_examples <= REPEATABLE_EXAMPLES else MOST
    report = series(tmp_path / "state", kills)

    check(report, kills)
    assert int(str(report["round"])) > kills // 2  # they got on between the kills
