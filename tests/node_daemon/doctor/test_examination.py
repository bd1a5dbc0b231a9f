import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.doctor.checks import CHECKS, Timed
from node_daemon.doctor.examination import examine
from node_daemon.doctor.finding import Case, Finding, Grade, fail, ok, warn
from node_daemon.doctor.report import doctor
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private
from tests.node_daemon.doctor.cases import case_of


def broken(_case: Case) -> Sequence[Finding]:
    raise ZeroDivisionError("division by zero")


def refused(_case: Case) -> Sequence[Finding]:
    raise ConfigError("the key is weak", facts=["it is 0"], fix="make another")


def test_a_check_that_breaks_fails_itself_alone(tmp_path: Path) -> None:
    checks = {
        "good": Timed(lambda _: ok("good", "fine")),
        "broken": Timed(broken),
        "refused": Timed(refused),
    }

    found = examine(case_of(tmp_path), checks)

    assert [(one.name, one.grade.value, one.found, one.remedy) for one in found.findings] == [
        ("good", "ok", "fine", ""),
        ("broken", "fail", "the check itself broke: ZeroDivisionError: division by zero", "report this"),
        ("refused", "fail", "the key is weak; it is 0", "make another"),
    ]
    assert found.count(Grade.FAIL) == 2


def test_a_check_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    is_over = threading.Event()

    def hanging(_case: Case) -> Sequence[Finding]:
        is_over.wait(30)
        return []

    found = examine(
        case_of(tmp_path), {"slow": Timed(hanging, 0.01), "quick": Timed(lambda _: ok("quick", ""))}
    )
    is_over.set()

    assert found.unfinished == ("slow",)
    assert [one.name for one in found.findings] == ["slow", "quick"]
    assert found.findings[0].found == "took longer than 0.01 s"


def test_checks_run_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(_case: Case) -> Sequence[Finding]:
        together.wait()
        return ok("met", "")

    found = examine(case_of(tmp_path), {str(number): Timed(meet) for number in range(3)})

    assert [one.grade for one in found.findings] == [Grade.OK] * 3


def test_what_needs_the_config_is_not_looked_at_while_that_is_wrong(tmp_path: Path) -> None:
    case = case_of(tmp_path, "[network]\nprot = 1\n")
    needing = {name: CHECKS[name] for name in ("port", "mdns", "peers", "open-files", "dataset", "training")}

    found = examine(case, needing)

    assert {(one.grade, one.remedy) for one in found.findings} == {(Grade.WARN, "correct the config first")}
    assert len(found.findings) == len(needing)


def test_the_report_is_a_table_with_remedies_below(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    checks = {
        "a": Timed(lambda _: ok("python", "3.11")),
        "b": Timed(lambda _: fail("port-7964", "in use by pid 4121 (p2pnode start)", "stop it")),
        "c": Timed(lambda _: warn("mdns", "not heard " + "on eth0 " * 6, "allow UDP 5353")),
    }

    def load() -> object:
        raise ConfigError("no config")

    answer, _ = doctor(case_of(tmp_path).paths, load, checks)  # type: ignore[arg-type]

    assert answer.text.splitlines() == [
        "ok    python     3.11",
        "FAIL  port-7964  in use by pid 4121 (p2pnode start)",
        "                 -> stop it",
        "warn  mdns       not heard on eth0 on eth0 on eth0 on eth0",
        "                 on eth0 on eth0",
        "                 -> allow UDP 5353",
        "1 failure, 1 warning",
    ]
    assert answer.data["failures"] == 1


@pytest.mark.slow
def test_doctor_examines_a_home_and_exits_with_1_for_a_failure(tmp_path: Path, user: Path) -> None:
    task = "[network]\nport = 0\nmdns = false\nmin_peers = 1\n[task]\nname = 'digits_softmax'\n"
    write_private(tmp_path / "home/p2pnode.toml", task)
    write_private(tmp_path / "home/trust.toml", "mode = 'open'\n")
    words = ["doctor", "--home", str(tmp_path / "home")]
    CliRunner().invoke(app, ["init", "--home", str(tmp_path / "home")])

    healthy = CliRunner().invoke(app, [*words, "--json"])
    os.chmod(tmp_path / "home/identity.key", 0o644)
    ill = CliRunner().invoke(app, words)

    found = json.loads(healthy.stdout)
    assert (healthy.exit_code, found["failures"]) == (0, 0), healthy.stdout
    assert {row["name"].partition("-")[0] for row in found["findings"]} >= {
        "python",
        "port",
        "training",
        "peers",
    }
    assert {"name", "grade", "found", "remedy"} == set(found["findings"][0])
    assert ill.exit_code == 1
    assert "FAIL  identity" in ill.stdout
    assert "chmod 600" in ill.stdout
