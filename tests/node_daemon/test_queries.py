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

    assert header.split()[-2:] == ["REFUSED", "REFUSES"]
    assert row.endswith("2        3 (duplicate, not_trusted)")
