from pathlib import Path

import pytest

from node_daemon import queries
from node_daemon.control_client import Json
from node_daemon.paths import home_paths

ROW: dict[str, Json] = {
    "id": "25NJQAM" * 7,
    "name": "anna",
    "address": "tcp://10.0.0.1:7964",
    "state": "up",
    "sends_to": True,
    "receives_from": True,
    "accepted": True,
    "shared_with": True,
    "accepts_us": None,
    "last_model_s": None,
    "last_model_round": None,
    "refused": 2,
    "refused_there": 3,
    "reasons": {"not_trusted": 3, "duplicate": 2},
}


def test_peers_tell_how_many_models_were_refused_on_both_sides_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "request", lambda *_: {"peers": [ROW], "pending": {}})
    monkeypatch.setenv("COLUMNS", "200")

    header, row = str(queries.peers(home_paths(tmp_path)).text).splitlines()[:2]

    assert header.split()[-1] == "REFUSED"
    assert row.endswith("2, there 3 (duplicate, not_trusted)")


@pytest.mark.parametrize(
    ("columns", "missing"), [("100", []), ("90", ["PATH"]), ("80", ["PATH", "ID"]), ("60", [])]
)
def test_peers_stay_a_table_in_a_terminal_of_usual_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str, missing: list[str]
) -> None:
    row: dict[str, Json] = {**ROW, "path": "static", "last_model_s": 720, "last_model_round": 41}
    plain: dict[str, Json] = {**row, "refused": 0, "refused_there": 0, "reasons": {}}
    monkeypatch.setattr(queries, "request", lambda *_: {"peers": [plain], "pending": {}})
    monkeypatch.setenv("COLUMNS", columns)

    lines = str(queries.peers(home_paths(tmp_path)).text).splitlines()

    if columns == "60":
        assert len(lines) > 2
        return
    assert len(lines) == 2
    assert max(map(len, lines)) <= int(columns)
    assert {"PATH", "ID"} - set(lines[0].split()) == set(missing)


def test_peers_in_full_have_addresses_and_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "request", lambda *_: {"peers": [ROW], "pending": {}})
    monkeypatch.setenv("COLUMNS", "200")

    header = str(queries.peers(home_paths(tmp_path), is_wide=True).text).splitlines()[0]

    assert "ADDRESS" in header
    assert "SENDS TO" in header
